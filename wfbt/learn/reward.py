"""Rewards: what one step was worth, from the money that the account really made since its decision.

r is the return of a step: equity at this close over equity at the close of the decision, less 1, after every fee,
spread, impact, funding payment and liquidation.  A decision at the close of bar t is filled on bar t + 1 at the
earliest, so nothing of bar t's own return is in its reward.  All a reward remembers begins anew with the episode.

Every part but the return lies within −1..1, and the return is counted in `unit`, the usual size of a bar's: so no part
drowns the others unless its weight says so.  Performance is never judged by rewards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError

MOST_WINDOW = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Six:
    """R = w1·return + w2·ratio − w3·drawdown excess − w4·trades + w5·holding·sign(PnL) − w6·spread.

    Every part that is taken off is ≥ 0:

    - return: r / unit;
    - ratio: mean over deviation (ddof 1) of the last `window` r of the episode, per bar, cut to −1..1; 0 of fewer than
      two.  Of Sortino's the deviation is √(mean of min(r, 0)²).  A hundredth of the unit is added to the deviation in
      squares, so that hardly moving at all is no feat;
    - drawdown excess: max(drawdown − threshold, 0) / (1 − threshold), the drawdown being that of the episode;
    - trades: fills of this step over `max_trades`, at most 1;
    - holding·sign(PnL): min(bars held / holding, 1) with the sign of what the position has gained since its average
      entry; over several assets their mean, weighted by value held;
    - spread: q / (1 + q), where q is the spread paid in this step (a fraction of equity) over its mean in those steps
      of the episode that paid one, this one included: 0 without a trade, a half for the usual trade, always below 1.

    Attributes
    ----------
    returns, ratio, drawdown, trades, holding, spread : float
        The weights w1 … w6, ≥ 0.
    measure : "sharpe" or "sortino"
    unit : float
        Return that counts as 1.  `usual_move` finds it in training rows.
    window : int
        Steps of the ratio.
    threshold : float
        Fraction of the peak.
    max_trades : float
        Fills a step.
    reference : float
        Decision bars that count as holding.
    """

    returns: float = 1.0
    ratio: float = 0.5
    drawdown: float = 1.0
    trades: float = 0.3
    holding: float = 0.2
    spread: float = 0.4
    measure: Literal["sharpe", "sortino"] = "sharpe"
    unit: float = 0.01
    window: int = 32
    threshold: float = 0.1
    max_trades: float = 10.0
    reference: float = 24.0

    def __post_init__(self) -> None:
        if self.measure not in ("sharpe", "sortino"):
            raise ConfigError(f"reward.measure must be sharpe or sortino, was {self.measure!r}")
        for name in ("returns", "ratio", "drawdown", "trades", "holding", "spread"):
            _between(name, getattr(self, name), 0.0, inf)
        _window(self.window)
        _between("threshold", self.threshold, 0.0, 1.0, open_above=True)
        for name in ("unit", "max_trades", "reference"):
            _between(name, getattr(self, name), 0.0, inf, open_below=True)

    def pack(self) -> npt.NDArray[np.void]:
        """(1,) REWARD."""
        from wfbt.kernels.reward import Kind

        return _packed(
            Kind.SIX, unit=self.unit, window=self.window, downside=self.measure == "sortino", threshold=self.threshold,
            max_trades=self.max_trades, holding=self.reference, of_return=self.returns, of_ratio=self.ratio,
            of_drawdown=self.drawdown, of_trades=self.trades, of_holding=self.holding, of_spread=self.spread,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferentialSharpe:
    """D = (B·ΔA − A·ΔB / 2) / (B − A²)^(3/2): what r adds to a moving Sharpe ratio, to first order in η.

    A and B are the moving means of r and r² through the step before, ΔA = r − A, ΔB = r² − B; afterwards A += η·ΔA and
    B += η·ΔB.  Both begin at 0, so the first step's reward is 0.  B − A² is taken to be (unit / 100)² at least.
    Moody and Saffell, Reinforcement Learning for Trading (NIPS 11, 1998), equation 6; Moody et al., Performance
    Functions and Reinforcement Learning for Trading Systems and Portfolios (Journal of Forecasting 17, 1998).

    Attributes
    ----------
    rate : float
        η, in 0..1.
    unit : float
        Return that counts as usual.
    """

    rate: float = 0.01
    unit: float = 0.01

    def __post_init__(self) -> None:
        _between("rate", self.rate, 0.0, 1.0, open_below=True)
        _between("unit", self.unit, 0.0, inf, open_below=True)

    @property
    def window(self) -> int:
        """It keeps no returns."""
        return 1

    def pack(self) -> npt.NDArray[np.void]:
        """(1,) REWARD."""
        from wfbt.kernels.reward import Kind

        return _packed(Kind.DIFFERENTIAL_SHARPE, rate=self.rate, unit=self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogReturn:
    """ln(1 + r), so that an episode's rewards add up to its log return; of an account that lost all, ln(10⁻⁶)."""

    @property
    def window(self) -> int:
        """It keeps no returns."""
        return 1

    def pack(self) -> npt.NDArray[np.void]:
        """(1,) REWARD."""
        from wfbt.kernels.reward import Kind

        return _packed(Kind.LOG_RETURN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """R = w1·return + w2·Sharpe − w3·concentration − w4·leverage: for several assets.

    Return and Sharpe ratio are those of `Six`.  What is taken off is ≥ 0 and ≤ 1:

    - concentration: (H − 1/A) / (1 − 1/A)·min(G, 1), where H = Σ(value held of an asset / value held)² is Herfindahl's
      index and G the value held over equity: 0 when all A assets are held alike or none is, 1 when all is in one;
    - leverage: (G − free) / (most − free), cut to 0..1.

    Attributes
    ----------
    returns, ratio, concentration, leverage : float
        The weights, ≥ 0.
    free, most : float
        G that costs nothing, and that costs all; 0 ≤ free < most.
    unit, window
        As of `Six`.
    """

    returns: float = 1.0
    ratio: float = 0.5
    concentration: float = 0.2
    leverage: float = 0.3
    free: float = 1.0
    most: float = 3.0
    unit: float = 0.01
    window: int = 32

    def __post_init__(self) -> None:
        for name in ("returns", "ratio", "concentration", "leverage", "free"):
            _between(name, getattr(self, name), 0.0, inf)
        _between("most", self.most, self.free, inf, open_below=True)
        _between("unit", self.unit, 0.0, inf, open_below=True)
        _window(self.window)

    def pack(self) -> npt.NDArray[np.void]:
        """(1,) REWARD."""
        from wfbt.kernels.reward import Kind

        return _packed(
            Kind.PORTFOLIO, unit=self.unit, window=self.window, free_gross=self.free, most_gross=self.most,
            of_return=self.returns, of_ratio=self.ratio, of_concentration=self.concentration,
            of_leverage=self.leverage,
        )  # fmt: skip


Reward = Six | DifferentialSharpe | LogReturn | Portfolio

REWARDS: Mapping[str, tuple[type[Reward], Mapping[str, Any]]] = {
    "six": (Six, {"measure": "sharpe"}),
    "sortino": (Six, {"measure": "sortino"}),
    "differential_sharpe": (DifferentialSharpe, {}),
    "log_return": (LogReturn, {}),
    "portfolio": (Portfolio, {}),
}
"""Which type each reward is, by its name, and what of it the name settles."""


def reward_named(name: str, params: Mapping[str, Any] | None = None) -> Reward:
    """The reward called `name`, with `params` in place of its defaults; ConfigError on a name that is none."""
    params = dict(params or {})
    if name not in REWARDS:
        raise ConfigError(f"reward {name!r} is unknown{_near(name, REWARDS)}; there are {', '.join(REWARDS)}")
    kind, fixed = REWARDS[name]
    known = [one.name for one in fields(kind) if one.name not in fixed]
    for key in params:
        if key not in known:
            has = f"it has {', '.join(known)}" if known else "it has no settings"
            raise ConfigError(f"reward {name}: {key!r} is unknown{_near(key, known)}; {has}")
    return kind(**fixed, **params)


def told(reward: Reward) -> dict[str, Any]:
    """A reward as a manifest tells it: `reward_named` makes the same one of its name and params."""
    every = asdict(reward)
    for name, (kind, fixed) in REWARDS.items():
        if type(reward) is kind and fixed.items() <= every.items():
            return {"name": name, "params": {key: value for key, value in every.items() if key not in fixed}}
    raise AssertionError(f"{reward} is in no list")


def usual_move(marks: npt.NDArray[np.float64], rows: tuple[slice, ...]) -> float:
    """Root mean square of the returns of `marks` (T, A) within `rows`: a `unit` that is known from training rows alone.

    ConfigError where there are fewer than two returns, or none that is not 0.
    """
    moves = []
    for block in rows:
        part = marks[block]
        with np.errstate(invalid="ignore"):
            change = part[1:] / part[:-1] - 1.0
        moves.append(change[np.isfinite(change)])
    every = np.concatenate(moves) if moves else np.zeros(0)
    if len(every) < 2 or not every.any():
        raise ConfigError(f"a reward's unit needs two returns that are not 0; the training rows have {len(every)}")
    return float(np.sqrt(np.mean(every**2)))


def _packed(kind: int, **numbers: float) -> npt.NDArray[np.void]:
    from wfbt.kernels.reward import REWARD

    out = np.ones(1, REWARD)
    for name in out.dtype.names or ():
        if name.startswith("of_"):
            out[name] = 0.0
    out["kind"], out["threshold"], out["downside"], out["free_gross"] = int(kind), 0.0, 0, 0.0
    for name, number in numbers.items():
        out[name] = number
    out.flags.writeable = False
    return out


def _between(
    name: str, value: float, low: float, high: float, open_below: bool = False, open_above: bool = False
) -> None:
    above = value > low if open_below else value >= low
    below = value < high if open_above else value <= high
    if isfinite(value) and above and below:
        return
    rule = f"be {'>' if open_below else '>='} {low:g}"
    if high != inf:
        rule += f" and {'<' if open_above else '<='} {high:g}"
    raise ConfigError(f"reward.{name} must {rule}, was {value}")


def _window(window: int) -> None:
    if not 2 <= window <= MOST_WINDOW or window != int(window):
        raise ConfigError(f"reward.window must be a whole number of 2 to {MOST_WINDOW:,} steps, was {window}")


def _near(name: str, names: Any) -> str:
    close = get_close_matches(name, list(names), 1)
    return f" (did you mean {close[0]}?)" if close else ""
