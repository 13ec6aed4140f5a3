"""The account's own daily returns in another order, with what it held on those days, and in accounts of other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wfbt.compute import in_order
from wfbt.kernels.resampling import fill_stationary
from wfbt.ledger.ledger import Ledger
from wfbt.risk.history import weather_block
from wfbt.risk.monte_carlo import key_of
from wfbt.risk.survival import CapitalReplays, SmallAccount, replay_capitals
from wfbt.simulation.replays import Accounts, Tally, shown_of

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

BATCH = 500
"""Paths of a task."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lived:
    """The days of an account.

    Attributes
    ----------
    returns : (D,) float64
        Net, of each day.
    exposure : (D,) float64
        The largest gross exposure at a close of the day, in multiples of equity.
    block : int
        Mean length of a block when days are drawn again.
    """

    returns: F8
    exposure: F8
    block: int

    @classmethod
    def of(cls, ledger: Ledger) -> Lived:
        """Of a ledger of at least two days."""
        returns = np.maximum(ledger.returns_daily().to_numpy(np.float64), -1.0)
        ends = ledger.calendar.day_ends(ledger.ts)
        gross = np.nan_to_num(ledger.gross_exposure)
        moves = np.ptp(returns) > 0.0 and len(returns) >= 30
        return cls(
            returns=returns,
            exposure=np.maximum.reduceat(gross, np.append(0, ends[:-1] + 1)),
            block=weather_block(returns[:, None]) if moves else 1,
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
    names = ("ruined_at", "final", "made", "skipped")
    joined = {name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in names}
    return Resampled(
        account=tally.accounts(None, days, lived.block),
        shown=shown,
        capitals=CapitalReplays(capitals=parts[0].capitals, ruin=ruin, steps=days, **joined),
    )
