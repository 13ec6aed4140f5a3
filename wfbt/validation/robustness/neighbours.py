"""Parameters near the chosen ones: is the choice a plateau or a needle?

Neighbours are replayed to judge the choice and are never chosen from, so they are no candidates and no looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError, PolicyError
from wfbt.validation.robustness.replays import Intents, Params, asked, chosen, sharpes, shown, stream, studies_of
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.walk_forward import Study, WalkForward

F8 = npt.NDArray[np.float64]

TAG = 0x5052414D
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Shares of the reach, one parameter at a time and over the surface."""

STREAMS = frozenset({"seed"})
"""A number that names a stream of draws and measures nothing: near it is no nearer than far."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """Sharpe ratios of neighbours, stitched and out of sample; NaN where there is none.

    Attributes
    ----------
    names : tuple of str
        Parameters that were moved; of sleeves `sleeve.parameter`.
    joint : (N,) float64
        All parameters moved at once, by a Latin hypercube.
    refused : (N,) bool
        Which of them the policy called invalid, in any fold.
    curves : mapping of name to (5,) float64
        One parameter alone, moved by STEPS of the reach.
    pair : tuple of str
        The two parameters whose curves move most; empty with fewer than two.
    surface : (5, 5) float64
        Both moved, the first of the pair by row.
    refusals : int
        How many of the points beside `joint` were invalid.
    why : str
        What the policy said of the first invalid one.
    """

    names: tuple[str, ...]
    joint: F8
    refused: npt.NDArray[np.bool_]
    curves: Mapping[str, F8]
    pair: tuple[str, ...]
    surface: F8
    refusals: int
    why: str


def moved(value: Any, step: float, reach: float) -> Any:
    """`value` moved by `step`, −1..1, of its reach: `reach` of its size, and at least 1 of a whole number.

    A whole number stays one, rounded away from zero at a half.
    """
    if isinstance(value, int):
        change = step * max(reach * abs(value), 1.0)
        return value + int(np.sign(change) * np.floor(abs(change) + 0.5))
    return value * (1.0 + step * reach)


def is_movable(name: str, value: Any) -> bool:
    """Whether a share of `value` is anything: a number, not 0, that measures something."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and value != 0 and name.rpartition(".")[2] not in STREAMS


def hypercube(points: int, axes: int, rng: np.random.Generator) -> F8:
    """(N, P) points in −1..1, of each axis one in every of N equal strata (McKay, Beckman and Conover 1979)."""
    strata = np.argsort(rng.random((axes, points)), axis=1)
    return ((strata + rng.random((axes, points))) / points * 2.0 - 1.0).T


def neighbours(
    study: Study | Portfolio,
    walk: WalkForward,
    reach: float,
    samples: int,
    seed: int,
    base: float,
    progress: Callable[[int, int], None],
) -> Neighbours:
    """Move every fold's parameters by the same share, and replay what is then decided as one account.

    All numbers that the policy takes are moved, searched or not, but for those that are 0 and for seeds.  `base` is
    the Sharpe ratio of the choice itself.
    """
    bound: Params = {
        name: [studies_of(study)[name].rule.bind(own) for own in folds] for name, folds in chosen(walk).items()
    }
    names = tuple(
        dict.fromkeys(
            f"{sleeve}.{name}" if sleeve else name
            for sleeve, folds in bound.items()
            for own in folds
            for name, value in own.items()
            if is_movable(name, value)
        )
    )
    whys: dict[int, str] = {}
    jobs = study.jobs
    views = shown(walk)

    def at(steps: Mapping[str, float], number: int) -> Intents | None:
        there = {
            sleeve: [
                {
                    name: moved(value, steps[key], reach)
                    if (key := f"{sleeve}.{name}" if sleeve else name) in steps and is_movable(name, value)
                    else value
                    for name, value in own.items()
                }
                for own in folds
            ]
            for sleeve, folds in bound.items()
        }
        try:
            return asked(study, walk, there, views)
        except (ConfigError, PolicyError) as error:  # what lies outside the rule's own bounds
            whys[number] = str(error)
            return None

    def tried(points: Sequence[Mapping[str, float]], first: int, total: int) -> F8:
        asks = [lambda steps=one, n=first + i: at(steps, n) for i, one in enumerate(points)]
        return sharpes(walk.decided, asks, jobs, lambda done: progress(first + done, total))

    if not names:
        nothing = np.empty(0)
        return Neighbours(
            names=(), joint=nothing, refused=nothing.astype(bool), curves={}, pair=(), surface=np.empty((0, 0)),
            refusals=0, why="",
        )  # fmt: skip
    cube = hypercube(samples, len(names), stream(seed, TAG, 0))
    joint = [dict(zip(names, point.tolist(), strict=True)) for point in cube]
    alone = [{name: step} for name in names for step in STEPS if step]
    corners = [pair for pair in product(STEPS, STEPS) if all(pair)] if len(names) > 1 else []
    total = len(joint) + len(alone) + len(corners)
    found = tried([*joint, *alone], 0, total)
    sides = found[len(joint) :].reshape(len(names), len(STEPS) - 1)
    curves = {name: np.insert(own, STEPS.index(0.0), base) for name, own in zip(names, sides, strict=True)}
    # The two whose curve spans most, the first named of equals.
    spans = {name: _span(own) for name, own in curves.items()}
    pair = tuple(sorted(names, key=lambda name: -spans[name])[:2]) if len(names) > 1 else ()
    surface = np.empty((0, 0))
    if pair:
        inner = tried([dict(zip(pair, steps, strict=True)) for steps in corners], len(joint) + len(alone), total)
        surface = np.full((len(STEPS), len(STEPS)), np.nan)
        for steps, value in zip(corners, inner, strict=True):
            surface[STEPS.index(steps[0]), STEPS.index(steps[1])] = value
        middle = STEPS.index(0.0)
        surface[:, middle], surface[middle, :] = curves[pair[0]], curves[pair[1]]
    return Neighbours(
        names=names,
        joint=found[: len(joint)],
        refused=np.array([number in whys for number in range(len(joint))]),
        curves=curves,
        pair=pair,
        surface=surface,
        refusals=sum(number >= len(joint) for number in whys),
        why=whys[min(whys)] if whys else "",
    )


def _span(curve: F8) -> float:
    known = curve[~np.isnan(curve)]
    return float(known.max() - known.min()) if len(known) else 0.0
