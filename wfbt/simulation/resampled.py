"""The account's own daily returns in another order, with what it held on those days, and in accounts of other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from wfbt.compute import in_order
from wfbt.kernels.resampling import fill_stationary
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import FEWEST_DAYS
from wfbt.risk.history import weather_block
from wfbt.risk.monte_carlo import key_of
from wfbt.risk.survival import CapitalReplays, SmallAccount, replay_capitals
from wfbt.simulation.replays import Accounts, Tally, shown_of
from wfbt.validation.stops import last_row_alive, stop_of

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

BATCH = 500
"""Paths of a task."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lived:
    """The days of an account that lived: those after a stop for good are no evidence of anything.

    Drawn among the others they would thin out every risk.

    Attributes
    ----------
    returns : (D,) float64
        Net, of each day.
    exposure : (D,) float64
        The largest gross exposure at a close of the day, in multiples of equity.
    block : int
        Mean length of a block when days are drawn again.
    stopped : int or None
        When the account stopped for good, ns UTC.
    cause : str
        By what it stopped.
    left_out : int
        Days after that, which are not among these.
    """

    returns: F8
    exposure: F8
    block: int
    stopped: int | None = None
    cause: str = ""
    left_out: int = 0

    @classmethod
    def of(cls, ledger: Ledger, most: float = inf) -> Lived:
        """Of a ledger of at least two days, whose drawdown limit is `most`."""
        every = np.maximum(ledger.returns_daily().to_numpy(np.float64), -1.0)
        ends = ledger.calendar.day_ends(ledger.ts)
        stop = stop_of(ledger, most)
        alive = int(np.searchsorted(ends, last_row_alive(ledger, most))) + 1
        returns = every[:alive]
        gross = np.nan_to_num(ledger.gross_exposure)
        moves = len(returns) >= FEWEST_DAYS and np.ptp(returns) > 0.0
        return cls(
            returns=returns,
            exposure=np.maximum.reduceat(gross, np.append(0, ends[:-1] + 1))[:alive],
            block=weather_block(returns[:, None]) if moves else 1,
            stopped=None if stop is None else stop[0],
            cause="" if stop is None else stop[1],
            left_out=len(every) - alive,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resampled:
    """P resamples of the days of an account.

    Attributes
    ----------
    account : Accounts
    shown : (K,) int64
        Days of its fan.
    capitals : CapitalReplays
        The same paths in accounts of other sizes.
    """

    account: Accounts
    shown: I8
    capitals: CapitalReplays


def resampled(
    lived: Lived,
    *,
    days: int,
    paths: int,
    seed: np.random.SeedSequence,
    ruin: float,
    capitals: Sequence[float],
    small: SmallAccount,
    jobs: int,
) -> Resampled:
    """The stationary bootstrap of whole days (Politis and Romano 1994): a return comes with what was held that day."""
    key, shown = key_of(seed), shown_of(days)
    tally = Tally(paths, shown, ruin)
    parts: list[CapitalReplays] = []

    def some(first: int) -> CapitalReplays:
        rows = np.empty((min(BATCH, paths - first), days), np.int64)
        fill_stationary(rows, first, key, len(lived.returns), 1.0 / lived.block)
        returns = lived.returns[rows]
        tally.take(first, returns)
        return replay_capitals(returns, lived.exposure[rows], capitals, small, ruin=ruin)

    parts = in_order(some, range(0, paths, BATCH), jobs)
    names = ("ruined_at", "final", "made", "skipped", "wanting", "missing")
    joined = {name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in names}
    return Resampled(
        account=tally.accounts(None, days, lived.block),
        shown=shown,
        capitals=CapitalReplays(capitals=parts[0].capitals, ruin=ruin, steps=days, **joined),
    )
