"""Decisions that come late, and entries that are missed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfbt.engine.tape import Deck
from wfbt.kernels.abi import INTENT

I8 = npt.NDArray[np.int64]
Intents = npt.NDArray[np.void]

NEVER = np.iinfo(np.int64).max


def entries(intents: Intents) -> npt.NDArray[np.bool_]:
    """(N,) which of `intents` begin a position: those after which its side is another and not flat.

    `intents` are in time order; each asset is looked at by itself and begins flat.
    """
    out = np.zeros(len(intents), np.bool_)
    for asset in np.unique(intents["asset"]):
        own = np.flatnonzero(intents["asset"] == asset)
        side = np.sign(intents["size"][own])
        out[own] = (side != 0) & (side != np.append(0.0, side[:-1]))
    return out


def delayed(deck: Deck, intents: Intents, bars: I8) -> Intents:
    """`intents` each decided (N,) `bars` bars of its own symbol later, with the sizes, prices and distances it had.

    One that the next decision on its symbol overtakes is never made, nor is one that would come after the last bar.
    What expires does so as much later.
    """
    kept = np.zeros(len(intents), np.bool_)
    late = intents.copy()
    for asset, places in enumerate(deck.places):
        own = np.flatnonzero(intents["asset"] == asset)
        rows = deck.decisions[places]
        place = np.searchsorted(rows, intents["row"][own]) + bars[own]
        inside = place < len(rows)
        place = np.minimum(place, len(rows) - 1)
        # Beyond the last bar is later than all others.
        when = np.where(inside, place, len(rows))
        next_one = np.append(np.minimum.accumulate(when[::-1])[::-1][1:], len(rows) + 1)
        kept[own] = inside & (when < next_one)
        late["row"][own] = rows[place]
        wait = deck.tape.close_ts[rows[place]] - deck.tape.close_ts[intents["row"][own]]
        expire = intents["expire"][own]
        late["expire"][own] = np.where(expire == NEVER, NEVER, np.minimum(expire, NEVER - wait) + wait)
        slices = intents["last_slice"][own] - intents["first_slice"][own]
        begin = (places[place] * len(deck.symbols) + asset) * slices
        late["first_slice"][own], late["last_slice"][own] = begin, begin + slices
    late = late[kept]
    return late[np.lexsort((late["asset"], late["row"]))]


def skipped(intents: Intents, missed: npt.NDArray[np.bool_]) -> Intents:
    """`intents` without the positions whose entries are `missed`, (N,): the account is flat until the next one.

    What was decided later in a missed position (more of it, less of it) is not done either.
    """
    begins = entries(intents)
    kept = np.ones(len(intents), np.bool_)
    out = intents.copy()
    for asset in np.unique(intents["asset"]):
        own = np.flatnonzero(intents["asset"] == asset)
        side = np.sign(intents["size"][own])
        # Of each row the entry of its position; −1 before the first.
        entry = np.maximum.accumulate(np.where(begins[own], np.arange(len(own)), -1))
        gone = (side != 0) & missed[own[entry]]
        reverses = gone & begins[own] & (np.append(0.0, side[:-1]) != 0)
        kept[own] = ~gone | reverses
        out[own[reverses]] = _flat(intents[own[reverses]])
    return out[kept]


def _flat(intents: Intents) -> Intents:
    """Market orders to hold nothing, where and when `intents` are."""
    out = np.zeros(len(intents), INTENT)
    for name in ("row", "asset", "first_slice", "last_slice"):
        out[name] = intents[name]
    for name in ("stop", "take", "trail", "limit", "trigger", "other_size", "other_limit", "other_trigger"):
        out[name] = np.nan
    out["expire"] = NEVER
    return out
