"""Order books: read as they stand or compactly, synchronised, judged, corrected only as asked, and imported."""
