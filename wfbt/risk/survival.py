"""How many simulated accounts live, by their capital and by how long they try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

from wfbt.compute import in_order
from wfbt.errors import ConfigError
from wfbt.kernels import survival
from wfbt.risk.proportion import Proportion, proportion

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

NEVER: int = survival.NEVER
"""In `ruined_at`: not within the path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallAccount:
    """What a venue asks of an account whatever its size.

    Attributes
    ----------
    min_order : float
        Smallest notional of an order that opens or adds, quote: the larger of lot × price and the venue's minimum.
        Smaller ones are not made; orders that reduce always are.
    fixed_cost : float
        Paid each period, quote: data, server, wire fees.
    leverage : float
        Most notional over equity when an order is made.
    """

    min_order: float = 0.0
    fixed_cost: float = 0.0
    leverage: float = inf

    def __post_init__(self) -> None:
        for name, least in (("min_order", 0.0), ("fixed_cost", 0.0), ("leverage", 0.0)):
            value = getattr(self, name)
            if not value >= least:
                raise ConfigError(f"{name} must be >= {least:g}, was {value}")
        if not self.leverage > 0.0:
            raise ConfigError(f"leverage must be > 0, was {self.leverage}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CapitalReplays:
    """Every path with every capital.

    Attributes
    ----------
    capitals : (C,) float64
        Quote.
    ruin : float
        Fraction of the capital whose loss is ruin.
    steps : int
        Periods of a path.
    ruined_at : (C, P) int64
        Periods until ruin, seen at period ends; NEVER without.
    final : (C, P) float64
        Equity at the end or at ruin, quote.
    made, skipped : (C, P) int64
        Orders made, and orders below the minimum.
    wanting, missing : (C, P) float64
        Notional over equity that was to be held, summed over periods, and what of it was not.
    """

    capitals: F8
    ruin: float
    steps: int
    ruined_at: I8
    final: F8
    made: I8
    skipped: I8
    wanting: F8
    missing: F8


def replay_capitals(
    returns: npt.ArrayLike,
    exposure: npt.ArrayLike,
    capitals: Sequence[float],
    account: SmallAccount,
    *,
    ruin: float = 0.5,
    jobs: int = 1,
) -> CapitalReplays:
    """Replay a strategy's paths in accounts of other sizes.

    Each period the account moves to the strategy's exposure, if its order is large enough and leverage allows; what it
    holds earns the strategy's return per unit of notional, so proportional costs stay in it.  A period without exposure
    passes its return (fees of the last order, interest) on the equity whole.

    Parameters
    ----------
    returns : (P, S)
        Of the strategy on its equity in each period, net of proportional costs, resampled or simulated.
    exposure : (P, S) or (S,)
        Signed notional over equity that earned them; with several assets the gross one.  Trades are its changes.
    capitals : sequence of float
        Quote, increasing or not.
    account : SmallAccount
    ruin : float
        Fraction of the capital whose loss is ruin, in (0, 1].
    jobs : int
        Threads; the answer does not depend on them.
    """
    returns = np.asarray(returns, np.float64)
    if returns.ndim != 2 or not np.isfinite(returns).all():
        raise ConfigError(f"returns must be finite and of shape (paths, steps), were {returns.shape}")
    given = np.asarray(exposure, np.float64)
    if given.shape not in (returns.shape, returns.shape[1:]) or not np.isfinite(given).all():
        raise ConfigError(
            f"exposure must be finite, of shape {returns.shape} or {returns.shape[1:]}, was {given.shape}"
        )
    sizes = np.array(capitals, np.float64)
    if sizes.ndim != 1 or not ((sizes > 0.0) & np.isfinite(sizes)).all():
        raise ConfigError(f"capitals must be > 0 and finite, were {list(capitals)}")
    if not 0.0 < ruin <= 1.0:
        raise ConfigError(f"ruin must be a fraction in (0, 1], was {ruin}")
    paths, steps = returns.shape
    shape = (len(sizes), paths)
    ruined_at, made, skipped = np.empty(shape, np.int64), np.empty(shape, np.int64), np.empty(shape, np.int64)
    final, wanting, missing = np.empty(shape), np.empty(shape), np.empty(shape)
    earned, weights, sizes = _read_only(returns), _read_only(np.broadcast_to(given, returns.shape)), _read_only(sizes)

    def one(c: int) -> None:
        survival.replay_capitals(
            earned, weights, sizes[c : c + 1], float(account.min_order), float(account.fixed_cost),
            float(account.leverage), float(ruin), ruined_at[c : c + 1], final[c : c + 1], made[c : c + 1],
            skipped[c : c + 1], wanting[c : c + 1], missing[c : c + 1],
        )  # fmt: skip

    in_order(one, range(len(sizes)), jobs)
    return CapitalReplays(
        capitals=sizes, ruin=ruin, steps=steps, ruined_at=ruined_at, final=final, made=made, skipped=skipped,
        wanting=wanting, missing=missing,
    )  # fmt: skip


def _read_only(array: F8) -> F8:
    """Whatever the caller's array was: the kernel has one specialisation."""
    view = np.ascontiguousarray(array).view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalPoint:
    """The share of paths not ruined within `horizon` periods, None beyond the simulated ones."""

    horizon: int
    survived: Proportion | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurvivalCurve:
    """Survival by horizon of one capital.

    Attributes
    ----------
    capital : float
        Quote.
    points : tuple of SurvivalPoint
        In the order asked.
    skipped : float or None
        Share of all orders that were too small to be made; None where there was no order.
    missed : float or None
        Share of the notional to be held that was not, for orders too small; None where nothing was to be held.  A day's
        order may be as small as the drift of a position: many such orders can be missed at no loss.
    """

    capital: float
    points: tuple[SurvivalPoint, ...]
    skipped: float | None
    missed: float | None


def survival_points(ruined_at: npt.ArrayLike, steps: int, horizons: Sequence[int]) -> tuple[SurvivalPoint, ...]:
    """The share of paths alive after each horizon, with Wilson's interval; at least 1 − 3/n where none was ruined.

    Parameters
    ----------
    ruined_at : (P,) int64
        Periods until ruin, NEVER without, as `first_passage` and `replay_capitals` give them.
    steps : int
        Periods simulated.
    horizons : sequence of int
        Periods.
    """
    ruined_at = np.asarray(ruined_at, np.int64)
    points = []
    for horizon in horizons:
        if horizon < 0:
            raise ConfigError(f"horizons must be >= 0 periods, one was {horizon}")
        if horizon > steps:
            why = f"the paths have {steps} periods, so nothing is known of {horizon}"
            points.append(SurvivalPoint(horizon=horizon, survived=None, reason=why))
            continue
        alive = int(np.count_nonzero(ruined_at > horizon))
        points.append(SurvivalPoint(horizon=horizon, survived=proportion(alive, len(ruined_at))))
    return tuple(points)


def survival_curves(replays: CapitalReplays, horizons: Sequence[int]) -> tuple[SurvivalCurve, ...]:
    """One curve for each capital."""
    curves = []
    for c, capital in enumerate(replays.capitals):
        made, skipped = int(replays.made[c].sum()), int(replays.skipped[c].sum())
        wanting = float(replays.wanting[c].sum())
        curves.append(
            SurvivalCurve(
                capital=float(capital),
                points=survival_points(replays.ruined_at[c], replays.steps, horizons),
                skipped=skipped / (made + skipped) if made + skipped else None,
                missed=float(replays.missing[c].sum()) / wanting if wanting > 0.0 else None,
            )
        )
    return tuple(curves)


def first_passage(equity: npt.ArrayLike, loss: float) -> I8:
    """(P,) int64: periods until equity has lost the fraction `loss` of its start, NEVER without.

    `equity` is (P, S + 1): the start, then S period closes.
    """
    equity = np.asarray(equity, np.float64)
    if equity.ndim != 2 or equity.shape[1] < 1 or not np.isfinite(equity).all() or not (equity[:, 0] > 0.0).all():
        raise ConfigError(f"equity must be finite, of shape (paths, steps + 1) and start above 0, was {equity.shape}")
    if not 0.0 < loss <= 1.0:
        raise ConfigError(f"loss must be a fraction in (0, 1], was {loss}")
    below = equity <= (1.0 - loss) * equity[:, :1]
    return np.where(below.any(axis=1), np.argmax(below, axis=1), NEVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossProbability:
    """P(losing a fraction of the start within a number of periods), None where the paths are too short.

    Attributes
    ----------
    loss : float
        Fraction of the start.
    horizon : int
        Periods.
    ruined : Proportion or None
        The share of paths; `high` is what a limit on it should be held against.
    reason : str
        Why it is None.
    """

    loss: float
    horizon: int
    ruined: Proportion | None
    reason: str = ""


def loss_probability(ruined_at: npt.ArrayLike, steps: int, horizon: int, loss: float = 0.5) -> LossProbability:
    """The share of paths ruined within `horizon` periods (one year of them, say), each counted from its own start.

    `ruined_at` (P,) are first passages of `loss`; later years of a long path are not further trials.
    """
    (point,) = survival_points(ruined_at, steps, [horizon])
    if point.survived is None:
        return LossProbability(loss=loss, horizon=horizon, ruined=None, reason=point.reason)
    lost = proportion(point.survived.n - point.survived.count, point.survived.n)
    return LossProbability(loss=loss, horizon=horizon, ruined=lost, reason=lost.reason)
