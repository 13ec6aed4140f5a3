"""How long an order takes, as times drawn before the replay: no kernel knows a model of latency."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from math import log

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from wfbt.errors import ConfigError

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]


LONGEST = 3.2e18
"""ns, about 100 years: no delay is longer."""


def keyed_uniform(seed: int, symbol: str, stream: str, ts: I8) -> F8:
    """Uniform draws in (0, 1), each a function of (seed, symbol, stream, time) alone.

    A finaliser of splitmix64 (Steele, Lea & Flood 2014) over the time, keyed by a hash of the rest: the draw of a bar
    is the same in whatever fold, slice or thread it is asked for.
    """
    key = hashlib.sha256(f"{seed}\0{symbol}\0{stream}".encode()).digest()
    first, second = np.frombuffer(key[:16], dtype="<u8")
    from wfbt.kernels.draws import fill_uniforms

    out = np.empty(len(ts))
    with np.errstate(over="ignore"):  # the products wrap; only interpreted code would warn
        fill_uniforms(out, np.ascontiguousarray(ts), first, second)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """A distribution of delays ≥ 0, in ns: constant (low = high), uniform, lognormal or an empirical sample."""

    model: str = "constant"
    low: float = 0.0
    high: float = 0.0
    median: float = 0.0
    sigma: float = 0.0
    samples: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.model not in ("constant", "uniform", "lognormal", "empirical"):
            raise ConfigError(f"latency: unknown model {self.model!r}; use constant, uniform, lognormal or empirical")
        if not 0 <= self.low <= self.high < LONGEST:
            raise ConfigError(f"latency: 0 <= low <= high < 100 years is required, were {self.low} and {self.high} ns")
        if self.model == "lognormal" and not (0 < self.median < LONGEST and 0 <= self.sigma < 100):
            raise ConfigError("latency: lognormal needs median > 0 and 0 <= sigma < 100")
        if self.model == "empirical" and not (self.samples and all(0 <= ns < LONGEST for ns in self.samples)):
            raise ConfigError("latency: empirical needs at least one sample, all numbers from 0 up to 100 years")

    @property
    def instant(self) -> bool:
        """No draw is ever anything but 0."""
        return self.model == "constant" and round(self.low) == 0

    def draw(self, seed: int, symbol: str, stream: str, ts: I8) -> I8:
        """(T,) ns, one for each decision time."""
        if self.model == "constant":
            return np.full(len(ts), round(self.low), np.int64)
        u = keyed_uniform(seed, symbol, stream, ts)
        if self.model == "uniform":
            out = self.low + u * (self.high - self.low)
        elif self.model == "lognormal":
            out = np.exp(log(self.median) + self.sigma * ndtri(u))
        else:
            ordered = np.sort(np.asarray(self.samples, np.float64))
            out = ordered[np.minimum((u * len(ordered)).astype(np.int64), len(ordered) - 1)]
        return np.minimum(np.rint(out), 1e18).astype(np.int64)

    def scaled(self, factor: float) -> Delay:
        """Every delay times `factor`."""
        return Delay(
            model=self.model,
            low=self.low * factor,
            high=self.high * factor,
            median=self.median * factor,
            sigma=self.sigma,
            samples=tuple(s * factor for s in self.samples),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Delays between a bar's close and an order that is live at the venue.

    Attributes
    ----------
    feed : Delay
        Until the close is known to us.
    order : Delay
        From the decision to the matching engine.
    response : Delay
        Until we know of the fill.  Bars decide from closes, long after any response: recorded, without effect.
    adverse : float
        Share, in 0..1, of the price's diffusion during a delay within a bar that goes against the trader.
    """

    order: Delay = field(default_factory=Delay)
    feed: Delay = field(default_factory=Delay)
    response: Delay = field(default_factory=Delay)
    adverse: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.adverse <= 1:
            raise ConfigError(f"latency.adverse must lie in 0..1, was {self.adverse}")

    @classmethod
    def none(cls) -> Latency:
        """Orders fill at the next open."""
        return cls()

    @classmethod
    def constant(cls, ns: float, adverse: float = 0.5) -> Latency:
        """Each order takes `ns`."""
        return cls(order=Delay(low=ns, high=ns), adverse=adverse)

    @classmethod
    def uniform(cls, low: float, high: float, adverse: float = 0.5) -> Latency:
        """Each order takes between `low` and `high` ns."""
        return cls(order=Delay(model="uniform", low=low, high=high), adverse=adverse)

    @classmethod
    def lognormal(cls, median: float, sigma: float, adverse: float = 0.5) -> Latency:
        """Each order takes a lognormal time of this median (ns) and log-deviation."""
        return cls(order=Delay(model="lognormal", median=median, sigma=sigma), adverse=adverse)

    @classmethod
    def empirical(cls, samples: npt.ArrayLike, adverse: float = 0.5) -> Latency:
        """Each order takes one of these measured times (ns)."""
        values = tuple(float(x) for x in np.asarray(samples, np.float64).ravel())
        return cls(order=Delay(model="empirical", samples=values), adverse=adverse)

    def scaled(self, factor: float) -> Latency:
        """Every delay times `factor`."""
        return replace(
            self,
            order=self.order.scaled(factor),
            feed=self.feed.scaled(factor),
            response=self.response.scaled(factor),
        )

    @property
    def instant(self) -> bool:
        """Every order is live at the close it was decided on."""
        return self.feed.instant and self.order.instant

    def delays(self, seed: int, symbol: str, ts: I8) -> I8:
        """(T,) ns from each decision time `ts` to a live order."""
        return self.feed.draw(seed, symbol, "feed", ts) + self.order.draw(seed, symbol, "order", ts)

    def price_draws(self, seed: int, symbol: str, ts: I8) -> F8:
        """(T,) standard normal: how the price of each decision's order diffuses while it travels."""
        return np.asarray(ndtri(keyed_uniform(seed, symbol, "price", ts)))
