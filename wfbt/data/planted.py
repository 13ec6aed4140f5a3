"""A daily market in which one of many signals is worth a Sharpe ratio that is known exactly, or none is worth anything.

Whether a gate passes skill and stops luck can be seen only where the truth is known.  So nothing here is estimated: how
far the planted signal moves the price is solved for the Sharpe ratio that it is worth after costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
import pyarrow as pa

from wfbt.data.market import DAY, F8, I8
from wfbt.data.store import GENERATED, write_table
from wfbt.errors import ConfigError

FIRST = int(np.datetime64("2012-01-01", "ns").astype(np.int64))
BEFORE = 1_000_000_000
"""ns from the publication of a signal to the close at which it is used."""

YEAR = 365.0
PRICE, VOLUME = 100.0, 1e11
"""At the start, and traded a day in quote: so much that the impact of one account is next to nothing."""

LEAST = -0.9
"""A day's return is never below it; a t of few degrees of freedom would go there once in many lifetimes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """What is known of the market.

    The return of day t + 1 is pull·σ·xₜ + σₜ₊₁·ε, with x the planted signal, known at the close of day t, σ the daily
    volatility and σₜ₊₁ one that clusters around it.  All signals follow the same law: AR(1) of mean 0 and variance 1.

    Attributes
    ----------
    sharpe : float
        Annual Sharpe ratio, of daily returns after costs, of holding the sign of the planted signal while it is beyond
        `level`, and nothing else; 0: no signal is worth anything.
    days, signals : int
    level : float
        In deviations of a signal.
    cost_bps : float
        Paid on every unit of turnover: half a spread, and the taker's fee.
    volatility : float
        A year's, of the market without what is planted.
    persistence : float
        Of a signal, from one day to the next.
    cluster, spread : float
        Persistence and deviation of the logarithm of σₜ (stochastic volatility, Taylor 1986).
    tail : float
        Degrees of freedom of ε, a t of variance 1.
    """

    sharpe: float
    days: int
    signals: int = 50
    level: float = 0.25
    cost_bps: float = 5.5
    volatility: float = 0.6
    persistence: float = 0.91
    cluster: float = 0.97
    spread: float = 0.35
    tail: float = 6.0

    def __post_init__(self) -> None:
        for name in ("days", "signals"):
            if getattr(self, name) < 1:
                raise ConfigError(f"a planted market's {name} must be >= 1, was {getattr(self, name)}")
        for name in ("level", "volatility"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"a planted market's {name} must be > 0, was {getattr(self, name)}")
        if not self.sharpe >= 0 or not self.cost_bps >= 0:
            raise ConfigError(
                f"a planted market's sharpe and cost_bps must be >= 0, were {self.sharpe}, {self.cost_bps}"
            )
        if not (0 <= self.persistence < 1 and 0 <= self.cluster < 1):
            both = f"{self.persistence} and {self.cluster}"
            raise ConfigError(f"a planted market's persistence and cluster must be in [0, 1), were {both}")
        if not self.tail > 2 or not self.spread >= 0:
            both = f"{self.tail} and {self.spread}"
            raise ConfigError(f"a planted market's tail must be > 2 and its spread >= 0, were {both}")

    @property
    def daily(self) -> float:
        """σ, the volatility of a day."""
        return self.volatility / sqrt(YEAR)


def pull_of(planted: Planted) -> float:
    """How far the signal moves the next day, in units of σ: the root of `sharpe_of` at the Sharpe ratio asked for."""
    from scipy.optimize import brentq

    if planted.sharpe == 0:
        return 0.0
    if sharpe_of(1.0, planted) < planted.sharpe:
        raise ConfigError(f"no signal is worth a Sharpe ratio of {planted.sharpe:g} here")
    pull: float = brentq(lambda pull: sharpe_of(pull, planted) - planted.sharpe, 0.0, 1.0, xtol=1e-12)
    return pull


def sharpe_of(pull: float, planted: Planted) -> float:
    """Annual Sharpe ratio, after costs, of holding sign(x) while |x| ≥ level.

    With p the position, E[p·r] = pull·σ·E|x; in|, E[(p·r)²] = σ²·(P(in) + pull²·E[x²; in]) and cost·E|Δp| is paid; the
    cost's own variance is left out, a thousandth of the whole.
    """
    from scipy.stats import norm

    level, sigma = planted.level, planted.daily
    inside, density = 2 * float(norm.sf(level)), float(norm.pdf(level))
    gain = pull * sigma * 2 * density - planted.cost_bps * 1e-4 * turnover_of(planted)
    square = sigma**2 * (inside + pull**2 * (inside + 2 * level * density))
    return gain / sqrt(square - gain**2) * sqrt(YEAR)


def turnover_of(planted: Planted) -> float:
    """E|Δp| of a day, by integrating over the signal of the day before."""
    from scipy.stats import norm

    level, rho = planted.level, planted.persistence
    x, step = np.linspace(-9.0, 9.0, 20_001, retstep=True)
    noise = sqrt(1 - rho**2)
    above, below = norm.sf((level - rho * x) / noise), norm.cdf((-level - rho * x) / noise)
    held = np.where(x >= level, 1.0, np.where(x <= -level, -1.0, 0.0))
    moved = above * np.abs(1 - held) + below * np.abs(-1 - held) + (1 - above - below) * np.abs(held)
    return float((norm.pdf(x) * moved).sum() * step)


def draw(planted: Planted, seed: np.random.SeedSequence) -> tuple[F8, F8, int]:
    """(days,) returns and (days, signals) signals, and which signal is planted, worth something or not.

    The return of a day leans on the signal of the day before; that of the first day on none.
    """
    rng = np.random.default_rng(seed)
    signals = _autoregression(rng, planted.persistence, (planted.days, planted.signals))
    where = int(rng.integers(planted.signals))
    around = planted.spread * _autoregression(rng, planted.cluster, (planted.days, 1))[:, 0]
    # Of mean square 1, as E[exp(2·spread·N)] = exp(2·spread²).
    noise = np.exp(around - planted.spread**2) * rng.standard_t(planted.tail, planted.days)
    noise *= sqrt((planted.tail - 2) / planted.tail)
    lean = pull_of(planted) * np.append(0.0, signals[:-1, where])
    return np.maximum(planted.daily * (noise + lean), LEAST), signals, where


def _autoregression(rng: np.random.Generator, rho: float, shape: tuple[int, int]) -> F8:
    """AR(1) down the rows, of mean 0 and variance 1 from the first row on."""
    from scipy.signal import lfilter

    shocks = rng.standard_normal(shape)
    shocks[1:] *= sqrt(1 - rho**2)
    out: F8 = lfilter([1.0], [1.0, -rho], shocks, axis=0)
    return out


def write_planted(folder: Path, planted: Planted, seed: np.random.SeedSequence) -> str:
    """Write bars.parquet and signals.parquet; gives the name of the column that is planted."""
    made, spare = seed.spawn(2)
    returns, signals, where = draw(planted, made)
    ts = FIRST + DAY * np.arange(planted.days)
    columns = signal_names(planted)
    write_table(folder / "bars.parquet", _table({"ts": ts}, _bars(returns, planted, np.random.default_rng(spare))))
    published = {"published_at": ts + DAY - BEFORE}
    write_table(folder / "signals.parquet", _table(published, dict(zip(columns, signals.T, strict=True))))
    return columns[where]


def signal_names(planted: Planted) -> list[str]:
    """Columns of signals.parquet."""
    return [f"s{number:02d}" for number in range(planted.signals)]


def _bars(returns: F8, planted: Planted, rng: np.random.Generator) -> dict[str, F8]:
    """Open to volume, around closes that compound `returns`; each opens where the last one closed."""
    close = PRICE * np.cumprod(1 + returns)
    open_ = np.append(PRICE, close[:-1])
    wick = 1 + 0.5 * planted.daily * np.abs(rng.standard_normal((2, planted.days)))
    return {
        "open": open_,
        "high": np.maximum(open_, close) * wick[0],
        "low": np.minimum(open_, close) / wick[1],
        "close": close,
        "volume": np.full(planted.days, VOLUME / PRICE),
    }


def _table(times: dict[str, I8], columns: dict[str, F8]) -> pa.Table:
    stamps = {name: pa.array(ts // 1000, pa.int64()).cast(pa.timestamp("us", tz="UTC")) for name, ts in times.items()}
    made = pa.table({**stamps, **{name: pa.array(np.ascontiguousarray(v)) for name, v in columns.items()}})
    return made.replace_schema_metadata({GENERATED: b"by wfbt.data.planted"})
