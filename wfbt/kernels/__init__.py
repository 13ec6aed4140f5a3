"""Compiled code.  A leaf: numpy, numba and math, nothing from the rest of wfbt."""
