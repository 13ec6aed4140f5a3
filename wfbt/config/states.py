"""What market states are called."""

from __future__ import annotations

from collections.abc import Collection, Mapping

STATES: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "variance": {
        2: ("calm", "turbulent"),
        3: ("calm", "normal", "turbulent"),
        4: ("calm", "normal", "tense", "turbulent"),
    },
    "mean": {
        2: ("bear", "bull"),
        3: ("bear", "sideways", "bull"),
        4: ("bear", "sideways", "rising", "bull"),
    },
}
"""Names in rising order, by what orders the states and by how many there are.

The names of few are among those of many: where fewer states are found than asked for, they keep their names.
"""


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """All names of one set of states in rising order; no two sets have the same names."""
    return next(known for sizes in STATES.values() for known in sizes.values() if set(known) == set(names))
