"""The terms of a book replay: contract, fees, delays and models of a venue, and the account, in human units."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError, DataError
from wfbt.kernels.book_abi import DELAY, STEP
from wfbt.kernels.book_codes import Decide
from wfbt.kernels.queues import Queue

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]

QUEUES = {queue.name.lower(): queue for queue in Queue}


def _rows(name: str, ts: npt.ArrayLike, *columns: npt.ArrayLike) -> None:
    times = np.asarray(ts)
    if times.ndim != 1 or len(times) == 0 or np.any(np.diff(times) <= 0):
        raise DataError(f"{name}: ts must increase strictly, and have a row at least")
    if any(np.shape(column) != times.shape for column in columns):
        raise DataError(f"{name}: every column must be as long as ts, {len(times)} rows")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Delays:
    """How long a message takes, as a function of when it is sent.

    Attributes
    ----------
    ts : (n,) int64
        ns UTC, increasing strictly.
    delay : (n,) int64
        ns from `ts` on, ≥ 0; before the first row its own.
    lost : (n,) bool or None
        Requests that do not reach the venue.
    bounce : (n,) int64 or None
        ns until a lost request is known to be; needed beside `lost`.
    """

    ts: I8
    delay: I8
    lost: npt.NDArray[np.bool_] | None = None
    bounce: I8 | None = None

    def __post_init__(self) -> None:
        bounce = self.delay if self.bounce is None else self.bounce
        _rows("delays", self.ts, self.delay, bounce, () if self.lost is None and len(self.ts) == 0 else self.flags())
        if np.any(np.asarray(self.delay)[~self.flags()] < 0) or np.any(np.asarray(bounce) < 0):
            raise DataError("delays: a delay must be >= 0 ns")
        if self.lost is not None and self.bounce is None:
            raise DataError("delays: lost requests need `bounce`, how long it takes until that is known")

    def flags(self) -> npt.NDArray[np.bool_]:
        """(n,) whether a request is lost."""
        return np.zeros(len(self.ts), bool) if self.lost is None else np.asarray(self.lost, bool)

    @classmethod
    def constant(cls, ns: int) -> Delays:
        """Every message takes `ns`."""
        return cls(ts=np.zeros(1, np.int64), delay=np.array([ns], np.int64))

    def packed(self) -> npt.NDArray[np.void]:
        """(n,) DELAY."""
        out = np.zeros(len(self.ts), DELAY)
        out["ts"], out["lost"] = self.ts, self.flags()
        out["delay"] = np.where(self.flags(), 0, self.delay) if self.bounce is None else self.delay
        out["bounce"] = self.delay if self.bounce is None else self.bounce
        return out


def round_trips(request: npt.ArrayLike, exchange: npt.ArrayLike, response: npt.ArrayLike) -> tuple[Delays, Delays]:
    """Delays of requests and of answers from measured round trips, ns; `exchange` ≤ 0: the request was lost."""
    sent, met, known = (np.asarray(x, np.int64) for x in (request, exchange, response))
    lost = met <= 0
    there = Delays(ts=sent, delay=met - sent, lost=lost, bounce=known - sent)
    return there, Delays(ts=met[~lost], delay=(known - met)[~lost])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Funding:
    """Settlements: `ts` (n,) ns UTC, `rate` (n,) of the notional held just before, `mark` (n,), NaN for the mid."""

    ts: I8
    rate: F8
    mark: F8

    def __post_init__(self) -> None:
        _rows("funding", self.ts, self.rate, self.mark)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pressure:
    """Square-root impact of taking, per √unit: `coefficient` (n,) ≥ 0 from `ts` (n,) ns UTC on, known there."""

    ts: I8
    coefficient: F8

    def __post_init__(self) -> None:
        _rows("impact", self.ts, self.coefficient)
        if not (np.asarray(self.coefficient) >= 0).all():
            raise DataError("impact: a coefficient must be >= 0")

    def packed(self) -> npt.NDArray[np.void]:
        """(n,) STEP."""
        out = np.zeros(len(self.ts), STEP)
        out["ts"], out["value"] = self.ts, self.coefficient
        return out


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BookVenue:
    """One symbol's contract, fees and delays.

    Attributes
    ----------
    tick_size, lot_size : float
        Quote per unit of a tick, and units of a lot.
    multiplier : float
        Of the contract.
    inverse : bool
        Settled in the coin; a lot is then worth quote.
    maker_bps, taker_bps : float
        Fee on the amount.  A rebate is negative.
    entry, response : Delays
        Of requests, by when they are sent, and of answers and reports, by the exchange's time.
    impact : Pressure or None
        Of taking fills; None switches it off.
    funding : Funding or None
    """

    tick_size: float
    lot_size: float
    multiplier: float = 1.0
    inverse: bool = False
    maker_bps: float = 0.0
    taker_bps: float = 0.0
    entry: Delays = field(default_factory=lambda: Delays.constant(0))
    response: Delays = field(default_factory=lambda: Delays.constant(0))
    impact: Pressure | None = None
    funding: Funding | None = None

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size", "multiplier"):
            if not (getattr(self, name) > 0 and isfinite(getattr(self, name))):
                raise ConfigError(f"book venue: {name} must be > 0, was {getattr(self, name)}")
        for name in ("maker_bps", "taker_bps"):
            if not abs(getattr(self, name)) < 10_000:
                raise ConfigError(f"book venue: {name} must lie within 10000 bps of 0, was {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BookModel:
    """What the replay assumes where the feed does not say.

    Attributes
    ----------
    partial : bool
        No event fills more of ours than it brings, own orders queue behind each other, and taking walks the book.
        False: an order fills whole or not at all, at any size.
    queue : str
        risk_averse, power, power2, power3, log or log2: `wfbt.kernels.queues.Queue`.
    power : float
        n of the power forms.
    depletion : bool
        Lots that own orders took are gone until their level is shown anew.  Only with `partial`.
    interpolate : bool
        Delays change on straight lines between their rows, not in steps.
    """

    partial: bool = True
    queue: str = "power3"
    power: float = 3.0
    depletion: bool = False
    interpolate: bool = False

    def __post_init__(self) -> None:
        if self.queue not in QUEUES:
            raise ConfigError(f"book model: queue must be one of {', '.join(QUEUES)}, was {self.queue!r}")
        if not (self.power > 0 and isfinite(self.power)):
            raise ConfigError(f"book model: power must be > 0, was {self.power}")
        if self.depletion and not self.partial:
            raise ConfigError("book model: depletion needs partial fills: switch on `partial` or leave it out")


@dataclass(frozen=True, slots=True, kw_only=True)
class BookAccount:
    """The account: opening `cash`, most `leverage` (0: any), `maintenance` (0: never liquidated), liquidation fee."""

    cash: float = 0.0
    leverage: float = 0.0
    maintenance: float = 0.0
    liquidation_fee_bps: float = 0.0

    def __post_init__(self) -> None:
        for name in ("cash", "leverage", "maintenance", "liquidation_fee_bps"):
            if not (getattr(self, name) >= 0 and isfinite(getattr(self, name))):
                raise ConfigError(f"book account: {name} must be >= 0, was {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """When the policy is asked: use `Asking.clock`, or `Asking.arrivals` for each instant at which something arrives.

    Attributes
    ----------
    decide : Decide
    period : int
        ns between two decisions of a clock.
    start : int or None
        ns UTC from which a clock counts; None: the earliest time of any row.
    """

    decide: Decide
    period: int = 0
    start: int | None = None

    def __post_init__(self) -> None:
        if self.decide == Decide.CLOCK and self.period <= 0:
            raise ConfigError(f"a clock's period must be > 0 ns, was {self.period}")

    @classmethod
    def clock(cls, period: int, start: int | None = None) -> Asking:
        """At start + period, start + 2·period and so on."""
        return cls(decide=Decide.CLOCK, period=period, start=start)

    @classmethod
    def arrivals(cls, responses: bool = True) -> Asking:
        """When rows arrive, and with `responses` also when answers and reports do."""
        return cls(decide=Decide.ALL if responses else Decide.DATA)
