"""How an order stands at the venue and how it is worked, in human units."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from wfbt.errors import ConfigError

DAY = 86_400_000_000_000
Model = Literal["twap", "vwap", "pov", "iceberg"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """Most of the traded volume that may be one's own.

    Attributes
    ----------
    order : float or None
        Of one order in the volume of a row (an execution bar).
    hour : float or None
        Of all fills of a symbol in the volume of a clock hour.
    """

    order: float | None = 0.05
    hour: float | None = 0.10

    def __post_init__(self) -> None:
        for name in ("order", "hour"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise ConfigError(f"costs.participation.{name} must lie in (0, 1], was {share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A parent order worked in children.  `twap`, `vwap`, `pov` and `iceberg` make one.

    Attributes
    ----------
    model : str
    over : int
        ns from the first child to the end, of a TWAP or VWAP.
    slices : int
        Children of a TWAP or VWAP.
    profile : int
        ns of history that a VWAP's volume profile by time of day is averaged over.
    share : float
        Of each row's volume that a POV order takes; of an iceberg, the part of the order that shows.
    """

    model: Model
    over: int = 0
    slices: int = 0
    profile: int = 20 * DAY
    share: float = 0.0

    def __post_init__(self) -> None:
        if self.model in ("twap", "vwap"):
            if not 2 <= self.slices <= 10_000:
                raise ConfigError(f"orders.schedule.slices must lie in 2..10000, was {self.slices}")
            if not self.over > 0:
                raise ConfigError(f"orders.schedule.over must be > 0 ns, was {self.over}")
            if self.model == "vwap" and self.profile < DAY:
                raise ConfigError(f"orders.schedule.profile must be at least a day, was {self.profile} ns")
        elif self.model in ("pov", "iceberg"):
            if not 0 < self.share <= 1:
                name = "share" if self.model == "pov" else "display"
                raise ConfigError(f"orders.schedule.{name} must lie in (0, 1], was {self.share}")
        else:
            raise ConfigError(f"orders.schedule.model must be twap, vwap, pov or iceberg, was {self.model!r}")

    @classmethod
    def twap(cls, over: int, slices: int) -> Schedule:
        """Equal children at equal times."""
        return cls(model="twap", over=over, slices=slices)

    @classmethod
    def vwap(cls, over: int, slices: int, profile: int = 20 * DAY) -> Schedule:
        """Children at equal times, each as large as the volume usual at its time of day."""
        return cls(model="vwap", over=over, slices=slices, profile=profile)

    @classmethod
    def pov(cls, share: float) -> Schedule:
        """A share of every row's volume until done."""
        return cls(model="pov", share=share)

    @classmethod
    def iceberg(cls, display: float) -> Schedule:
        """A limit order of which `display` shows: no fill takes more."""
        return cls(model="iceberg", share=display)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """Rules for the orders of a policy; exits and liquidations are not bound by them.

    Attributes
    ----------
    touch : float
        Share of a row's volume that a resting order gets when its limit is only touched; 0: it must be traded through.
    post_only : bool
        Limit orders that would take are rejected.
    min_interval : int
        ns between two orders of a symbol.
    max_open : int or None
        Orders of a symbol in flight or at work at once.
    schedule : Schedule or None
    """

    touch: float = 0.0
    post_only: bool = False
    min_interval: int = 0
    max_open: int | None = None
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        if not (0 <= self.touch <= 1 and isfinite(self.touch)):
            raise ConfigError(f"orders.touch must lie in 0..1, was {self.touch}")
        if self.min_interval < 0:
            raise ConfigError(f"orders.min_interval must be >= 0 ns, was {self.min_interval}")
        if self.max_open is not None and not 1 <= self.max_open <= 1_000:
            raise ConfigError(f"orders.max_open must lie in 1..1000, was {self.max_open}")
        if self.min_interval and self.max_open is None:
            raise ConfigError("orders.min_interval needs orders.max_open: waiting orders would pile up without end")
        if self.post_only and self.schedule is not None:
            raise ConfigError("orders.post_only and orders.schedule exclude each other: a schedule takes")
