"""What may still come: thousands of paths of one of five models, or of the strategy's own returns, and what they did.

`simulate` runs a model, `bootstrap` resamples returns.  Neither keeps a path: memory is that of a batch, and a path is
the same whatever the batch, the thread and the number of paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log

import numpy as np
import numpy.typing as npt

from wfbt.compute import in_order
from wfbt.errors import ConfigError
from wfbt.kernels import paths as kernels
from wfbt.kernels.excursions import EXCURSION, measure
from wfbt.kernels.resampling import measure_stationary
from wfbt.risk.arrays import frozen
from wfbt.risk.clustering import CorrelatedGarch, FilteredGarch
from wfbt.risk.history import History, weather_block
from wfbt.risk.labelled import LabelledHistory
from wfbt.risk.levels import Brownian, Model, RegimeSwitching
from wfbt.risk.recovery import Drawdowns
from wfbt.risk.survival import NEVER

__all__ = [
    "LEVELS",
    "NEVER",
    "Brownian",
    "CorrelatedGarch",
    "FilteredGarch",
    "History",
    "LabelledHistory",
    "Model",
    "Outcomes",
    "RegimeSwitching",
    "bootstrap",
    "fan",
    "log_returns",
    "outcomes",
    "simulate",
]

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

LEVELS: dict[int, type[Model]] = {
    one.level: one for one in (Brownian, RegimeSwitching, FilteredGarch, CorrelatedGarch, LabelledHistory)
}
BATCH = 131_072
"""Numbers of a batch, about: 1 MiB, which stays in the cache of a core."""
PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
MOST_PATHS, MOST_STEPS = 10_000_000, 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What each of P paths of equity came to, seen at the ends of its S steps.

    Attributes
    ----------
    level : int or None
        Of the model; None for resampled returns.
    steps : int
    ruin, drawdown : float or None
        The loss of the initial equity, and the loss from the peak, whose first time was looked for.
    final : (P,) float64
        Equity at the end, the start being 1; 0 where all was lost.
    depth : (P,) float64
        Largest drawdown, positive fraction of the peak.
    recovery : (P,) float64; recovered : (P,) bool
        Steps from its trough (the first of equally deep ones) until the peak was regained; to the end where it was not.
    under_water : (P,) float64
        Share of the steps that end below the peak.
    longest : (P,) int64
        Most steps from a peak until it was regained or the path ended.
    ruined_at, breached_at : (P,) int64
        The first step that ends with `ruin` lost, and with `drawdown` lost; NEVER.
    mean, deviation : (P,) float64
        Of the returns of a step, ddof 1; NaN where a model was simulated.
    block : int or None
        Mean length of a block, where rows were resampled.
    """

    level: int | None
    steps: int
    ruin: float | None
    drawdown: float | None
    final: F8
    depth: F8
    recovery: F8
    recovered: Flags
    under_water: F8
    longest: I8
    ruined_at: I8
    breached_at: I8
    mean: F8
    deviation: F8
    block: int | None = None

    def __len__(self) -> int:
        return len(self.final)

    @property
    def ruined(self) -> Flags:
        """(P,) whether the path was ruined."""
        return np.asarray(self.ruined_at != NEVER)

    @property
    def drawdowns(self) -> Drawdowns:
        """As `wfbt.risk.recovery` tabulates them."""
        return Drawdowns(depth=self.depth, recovery=self.recovery, recovered=self.recovered)

    @property
    def sharpe(self) -> F8:
        """(P,) per step; NaN where nothing varied or a model was simulated."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.deviation > 0.0, self.mean / self.deviation, np.nan)


def simulate(
    model: Model,
    *,
    steps: int,
    paths: int = 10_000,
    seed: np.random.SeedSequence,
    weights: npt.ArrayLike | None = None,
    ruin: float | None = 0.5,
    drawdown: float | None = None,
    jobs: int = 1,
) -> Outcomes:
    """Equity of an account that holds a model's symbols through `paths` of `steps` bars.

    Parameters
    ----------
    model : Model
        Any of LEVELS, fitted on training rows.
    weights : (A,) float64, optional
        Fractions of equity, signed, restored at each step without cost; None: all of it in the one symbol there is.
    ruin, drawdown : float, optional
        Losses of the initial equity and from the peak, in (0, 1), whose first times are looked for.
    jobs : int
        Threads; the answer does not depend on them.
    """
    _counted(paths, steps)
    held = _held(model, weights)
    floor, limit = _line("ruin", ruin), _line("drawdown", drawdown)
    key = key_of(seed)
    out = np.zeros(paths, EXCURSION)
    size = max(1, BATCH // (steps * len(held)))

    def one(first: int) -> None:
        batch = out[first : first + size]
        measure(batch, _account(model, held, first, len(batch), steps, key), floor, limit)

    in_order(one, range(0, paths, size), jobs)
    return outcomes(out, model.level, steps, ruin, drawdown, None)


def bootstrap(
    returns: npt.ArrayLike,
    *,
    resamples: int = 10_000,
    steps: int | None = None,
    seed: np.random.SeedSequence,
    block: int | None = None,
    ruin: float | None = 0.5,
    drawdown: float | None = None,
    jobs: int = 1,
) -> Outcomes:
    """Equity that earns resampled returns: the stationary bootstrap (Politis and Romano 1994).

    Parameters
    ----------
    returns : (T,) float64
        Simple returns of a strategy on its equity, net, in time order; never equity itself.
    steps : int, optional
        Length of a resample; None: T.
    block : int, optional
        Mean length of a block; None takes `weather_block`.  With 1 days are drawn one by one, and bad weather never
        lasts.
    """
    returns = frozen(returns)
    if returns.ndim != 1 or len(returns) < 2 or not np.isfinite(returns).all():
        raise ConfigError(f"returns must be at least 2 finite numbers in a row, were of shape {returns.shape}")
    if (bad := np.flatnonzero(returns < -1.0)).size:
        raise ConfigError(f"returns[{bad[0]}] = {returns[bad[0]]:g} loses more than there is; clip it where it is made")
    steps = len(returns) if steps is None else steps
    _counted(resamples, steps, 2)
    if block is None:
        block = weather_block(returns[:, None]) if np.ptp(returns) > 0.0 and len(returns) >= 30 else 1
    if not 1 <= block <= len(returns):
        raise ConfigError(f"block must be in 1 … {len(returns)}, was {block}")
    floor, limit = _line("ruin", ruin), _line("drawdown", drawdown)
    key = key_of(seed)
    out = np.zeros(resamples, EXCURSION)
    size = max(1, BATCH // steps)
    with np.errstate(divide="ignore"):
        logs = frozen(np.log1p(returns))

    def one(first: int) -> None:
        measure_stationary(out[first : first + size], first, steps, key, returns, logs, 1.0 / block, floor, limit)

    in_order(one, range(0, resamples, size), jobs)
    return outcomes(out, None, steps, ruin, drawdown, block)


def fan(
    model: Model,
    *,
    steps: int,
    paths: int = 2_000,
    seed: np.random.SeedSequence,
    weights: npt.ArrayLike | None = None,
    percentiles: Sequence[float] = PERCENTILES,
) -> F8:
    """(S + 1, Q) percentiles of equity across the first `paths` of `simulate`, at the start (1) and after each step.

    A line joins different paths: none of them need have gone along it.
    """
    _counted(paths, steps)
    held = _held(model, weights)
    returns = _account(model, held, 0, paths, steps, key_of(seed))
    equity = np.exp(np.cumsum(returns, axis=1))
    return np.vstack([np.ones(len(percentiles)), np.percentile(equity, percentiles, axis=0).T])


def log_returns(model: Model, *, first: int, paths: int, steps: int, seed: np.random.SeedSequence) -> F8:
    """(P, S, A) of the paths from number `first` on, the very ones that `simulate` goes through."""
    _counted(first + paths, steps)
    out = np.empty((paths, steps, len(model.symbols)))
    model.fill(out, first, key_of(seed))
    return out


def key_of(seed: np.random.SeedSequence) -> U8:
    """(2,) key of the generator."""
    key = seed.generate_state(2, np.uint64).astype(np.uint64)
    key.flags.writeable = False
    return key


def _held(model: Model, weights: npt.ArrayLike | None) -> F8:
    """Weights of the symbols."""
    assets = len(model.symbols)
    if weights is None and assets > 1:
        raise ConfigError(f"weights: {assets} symbols need one weight each, and none was given")
    held = frozen(np.ones(assets) if weights is None else weights)
    if held.shape != (assets,) or not np.isfinite(held).all():
        raise ConfigError(f"weights must be {assets} finite numbers, were {held.tolist()}")
    return held


def _account(model: Model, held: F8, first: int, count: int, steps: int, key: U8) -> F8:
    """(P, S) log returns of an account that holds the symbols."""
    returns = np.empty((count, steps, len(held)))
    model.fill(returns, first, key)
    if len(held) == 1 and held[0] == 1.0:
        return returns.reshape(count, steps)
    out = np.empty((count, steps))
    kernels.combine(out, returns, held)
    return out


def _line(name: str, loss: float | None) -> float:
    """The log of what is left after a loss."""
    if loss is None:
        return -inf
    if not 0.0 < loss < 1.0:
        raise ConfigError(f"{name} must be a fraction in (0, 1), was {loss}")
    return log(1.0 - loss)


def _counted(paths: int, steps: int, least: int = 1) -> None:
    for name, given, low, most in (("paths", paths, 1, MOST_PATHS), ("steps", steps, least, MOST_STEPS)):
        if not low <= given <= most:
            raise ConfigError(f"{name} must be in {low} … {most:,}, was {given}")


def outcomes(
    out: npt.NDArray[np.void],
    level: int | None,
    steps: int,
    ruin: float | None,
    drawdown: float | None,
    block: int | None,
) -> Outcomes:
    """Of (P,) EXCURSION."""
    recovered = out["regained_at"] != NEVER
    return Outcomes(
        level=level,
        steps=steps,
        ruin=ruin,
        drawdown=drawdown,
        final=out["final"].copy(),
        depth=out["depth"].copy(),
        recovery=(np.where(recovered, out["regained_at"], steps) - out["trough_at"]).astype(np.float64),
        recovered=recovered,
        under_water=(steps - out["peaks"]) / steps,
        longest=out["longest"].copy(),
        ruined_at=out["ruined_at"].copy(),
        breached_at=out["breached_at"].copy(),
        mean=out["mean"].copy(),
        deviation=out["deviation"].copy(),
        block=block,
    )
