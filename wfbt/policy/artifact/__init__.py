"""Model files: read without running them, checked against what their manifest says."""
