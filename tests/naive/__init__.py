"""Slow, obvious references, written from the documents and sharing no code with wfbt."""
