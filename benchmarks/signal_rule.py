"""A rule with one idea: hold the sign of a published signal while it is beyond a level."""

import numpy as np

POSITION = 0.1
"""Of equity.  In a market that varies by 60% a year, held on four days of five, the account varies by 5%."""


def follow(bars, column, level):
    """Targets for the next day, from what was published by the close."""
    signal = bars[f"signals_{column}"].to_numpy()
    return np.where(np.abs(signal) >= level, POSITION * np.sign(signal), 0.0)
