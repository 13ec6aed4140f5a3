"""Replay many lanes of intents over one market, keeping daily equity and tallies, no curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.compute import in_order
from wfbt.engine.tape import Deck
from wfbt.kernels.abi import (
    EVENT,
    FILL,
    LANE,
    LIQUIDATION,
    ORDER_LOG,
    PAYMENT,
    TALLY,
    Rules,
    desk_of,
    record_of,
)

F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lanes:
    """What came of many lanes.

    Attributes
    ----------
    daily : (L, D) float64
        Equity at the end of each UTC day of the market, NaN outside a lane's span.
    tallies : (L,) TALLY
    """

    daily: F8
    tallies: npt.NDArray[np.void]


def replay_lanes(
    deck: Deck,
    intents: Sequence[npt.NDArray[np.void]],
    spans: Sequence[tuple[int, int]],
    rules: Rules,
    jobs: int = 1,
) -> Lanes:
    """Replay intents[i] over execution rows spans[i], each from opening cash and flat.

    The lanes are cut into as many runs as there are threads; a lane's result does not depend on the cut.
    """
    from wfbt.kernels.bars import replay

    count, assets = len(intents), len(deck.symbols)
    daily = np.full((count, len(deck.day_rows)), np.nan)
    tallies = np.zeros(count, TALLY)

    def some(part: tuple[int, int]) -> None:
        begin, end = part
        lanes = np.zeros(end - begin, LANE)
        lengths = np.array([len(intents[i]) for i in range(begin, end)])
        lanes["last"] = np.cumsum(lengths)
        lanes["first"] = lanes["last"] - lengths
        lanes["start"] = [spans[i][0] for i in range(begin, end)]
        lanes["stop"] = [spans[i][1] for i in range(begin, end)]
        scratch = [np.zeros(1) for _ in range(4)]
        equity, cash, liquidation, shortfall = scratch
        replay(
            deck.tape, deck.terms, deck.stamps, deck.contracts, deck.day_rows,
            np.concatenate(intents[begin:end]), lanes,
            record_of(rules), deck.slots, deck.activity, deck.venue, np.zeros(1, FILL), np.zeros(1, PAYMENT),
            np.zeros(1, ORDER_LOG), np.zeros(1, EVENT), np.zeros(1, LIQUIDATION), equity, cash,
            np.zeros((1, assets)), liquidation, shortfall, daily[begin:end], tallies[begin:end],
            desk_of(1, assets, deck.slots),
        )  # fmt: skip

    if count:
        borders = np.linspace(0, count, min(jobs, count) + 1).astype(int)
        in_order(some, list(zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True)), jobs)
    return Lanes(daily=daily, tallies=tallies)
