"""What a market is: bars, funding, mark prices, per symbol, validated once and read-only ever after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wfbt.config.inputs import MOST_TIMEFRAMES
from wfbt.config.values import Duration
from wfbt.data.arrays import F8 as F8
from wfbt.data.arrays import I8 as I8
from wfbt.data.arrays import read_only
from wfbt.data.trades import Trades
from wfbt.errors import ConfigError, DataError

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
DAY = 24 * HOUR
BPS = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """OHLCV of one symbol.  A bar is known at its close.

    Attributes
    ----------
    symbol : str
    period : int
        ns between the opens of neighbouring bars.
    open_ts : (T,) int64
        ns UTC, strictly increasing.
    open, high, low, close, volume : (T,) float64
        Quote per unit; volume in units, ≥ 0.  0 < low ≤ min(open, close) ≤ max(open, close) ≤ high.
    close_ts : (T,) int64
        When each bar is known; not given, but computed once: every replay asks for it.
    """

    symbol: str
    period: int
    open_ts: I8
    open: F8
    high: F8
    low: F8
    close: F8
    volume: F8
    close_ts: I8 = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "open_ts", read_only(self.open_ts, np.int64))
        for name in ("open", "high", "low", "close", "volume"):
            object.__setattr__(self, name, read_only(getattr(self, name), np.float64))
            if getattr(self, name).shape != self.open_ts.shape:
                raise DataError(f"{self.symbol}: {name} has {len(getattr(self, name))} rows, ts {len(self.open_ts)}")
        if self.period <= 0:
            raise DataError(f"{self.symbol}: the bar period must be > 0 ns, was {self.period}")
        steps = np.diff(self.open_ts)
        if (bad := np.flatnonzero(steps < self.period)).size:
            raise DataError(f"{self.symbol}: row {bad[0] + 1} opens before row {bad[0]} has closed")
        body_low, body_high = np.minimum(self.open, self.close), np.maximum(self.open, self.close)
        # Written so that a NaN fails it.
        sound = (self.low > 0) & (self.low <= body_low) & (body_high <= self.high) & (self.volume >= 0)
        sound &= np.isfinite(self.high) & np.isfinite(self.volume)
        if (bad := np.flatnonzero(~sound)).size:
            raise DataError(
                f"{self.symbol}: row {bad[0]} breaks 0 < low <= open, close <= high, volume >= 0; run wfbt data check"
            )
        close_ts = self.open_ts + self.period
        close_ts.flags.writeable = False
        object.__setattr__(self, "close_ts", close_ts)

    def __len__(self) -> int:
        return len(self.open_ts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Funding:
    """Funding settlements of one perpetual.

    Attributes
    ----------
    ts : (K,) int64
        Settlement, ns UTC, strictly increasing; the rate is known from then on.
    rate : (K,) float64
        Fraction of notional.  Positive: longs pay shorts.
    mark : (K,) float64
        Mark price at settlement, NaN where unknown.
    snapped : int
        How many stamps were moved to a round minute on reading.
    """

    ts: I8
    rate: F8
    mark: F8
    snapped: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "ts", read_only(self.ts, np.int64))
        object.__setattr__(self, "rate", read_only(self.rate, np.float64))
        object.__setattr__(self, "mark", read_only(self.mark, np.float64))
        if not self.ts.shape == self.rate.shape == self.mark.shape:
            raise DataError("funding: ts, rate and mark differ in length")
        if (bad := np.flatnonzero(np.diff(self.ts) <= 0)).size:
            raise DataError(f"funding: ts not increasing at row {bad[0] + 1}")
        if (bad := np.flatnonzero(~np.isfinite(self.rate))).size:
            raise DataError(f"funding: rate is not a number at row {bad[0]}")
        if (bad := np.flatnonzero(self.mark <= 0)).size:
            raise DataError(f"funding: mark price must be > 0 at row {bad[0]}")

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Numbers that are no bars of the account's own: news, sentiment, what a chain holds.

    A row is known from available_ts + delay on, and replaces the row before it in all its columns.

    Attributes
    ----------
    name : str
    columns : tuple of str
        F names, in the order of the values.
    available_ts : (K,) int64
        When each row was published, ns UTC, strictly increasing; never when what it tells of happened.
    values : (K, F) float64
        NaN: no opinion.
    delay : int
        ns from publication to us, ≥ 0.
    max_age : int or None
        ns after publication from which a row is no longer believed, > delay.  None: until the next row.
    symbol : str or None
        The only symbol that sees it; None: all do.
    """

    name: str
    columns: tuple[str, ...]
    available_ts: I8
    values: F8
    delay: int = 0
    max_age: int | None = None
    symbol: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "available_ts", read_only(self.available_ts, np.int64))
        object.__setattr__(self, "values", read_only(self.values, np.float64))
        if not self.columns or self.values.shape != (len(self.available_ts), len(self.columns)):
            raise DataError(
                f"{self.name}: values of shape {self.values.shape}, not ({len(self.available_ts)} rows, "
                f"{len(self.columns)} columns)"
            )
        if not len(self.available_ts):
            raise DataError(f"{self.name}: a series needs at least one row")
        if (bad := np.flatnonzero(np.diff(self.available_ts) <= 0)).size:
            raise DataError(f"{self.name}: available_ts not increasing at row {bad[0] + 1}")
        if (bad := np.flatnonzero(np.isinf(self.values).any(axis=1))).size:
            raise DataError(f"{self.name}: row {bad[0]} is infinite; NaN means no opinion")
        if self.delay < 0:
            raise ConfigError(f"data.series.{self.name}.delay must be >= 0, was {self.delay} ns")
        if self.max_age is not None and self.max_age <= self.delay:
            raise ConfigError(
                f"data.series.{self.name}.max_age must be longer than delay ({Duration(self.delay)}), "
                f"was {Duration(self.max_age)}: no row would ever be seen"
            )

    def known_at(self, ts: I8) -> F8:
        """(N, F) float64: the last row known at each of (N,) times, NaN before the first and where it is too old."""
        row = np.searchsorted(self.available_ts, ts - self.delay, side="right") - 1
        seen = row >= 0
        if self.max_age is not None:
            seen &= ts - self.available_ts[row] <= self.max_age
        out: F8 = np.where(seen[:, None], self.values[row], np.nan)
        return out

    @property
    def names(self) -> tuple[str, ...]:
        """What a rule calls the columns: the name of the series, with theirs behind it where there are several."""
        return (self.name,) if len(self.columns) == 1 else tuple(f"{self.name}_{column}" for column in self.columns)

    def __len__(self) -> int:
        return len(self.available_ts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What one unit is.

    `tick` and `lot` 0 mean no grid; an inverse contract is quoted in USD and settled in the coin.
    """

    tick: float = 0.0
    lot: float = 0.0
    multiplier: float = 1.0
    inverse: bool = False

    def __post_init__(self) -> None:
        for name in ("tick", "lot"):
            if not getattr(self, name) >= 0 or not np.isfinite(getattr(self, name)):
                raise DataError(f"contract.{name} must be >= 0, was {getattr(self, name)}")
        if not (self.multiplier > 0 and np.isfinite(self.multiplier)):
            raise DataError(f"contract.multiplier must be > 0, was {self.multiplier}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instrument:
    """Everything known of one symbol.

    Attributes
    ----------
    trades : Trades or None
        Single trades: features are made of them, and no order is filled by one.
    impact : float or None
        The symbol's own temporary impact coefficient; the permanent one is half of it.  None: the venue's default.
    adv : float or None
        Volume over the impact horizon in units, where the bars' volume is not in units.
    volume : str
        "units" or "none": whether the bars' volume counts units of the asset.
    generated : str
        What made the bars, where they are no record of a real market.
    """

    bars: Bars
    funding: Funding | None = None
    mark: Bars | None = None
    execution_bars: Bars | None = None
    trades: Trades | None = None
    contract: Contract = field(default_factory=Contract)
    impact: float | None = None
    volume: str = "units"
    adv: float | None = None
    generated: str = ""

    @property
    def symbol(self) -> str:
        return self.bars.symbol


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """Instruments that one account trades.

    Attributes
    ----------
    instruments : tuple of Instrument
        In the order of the strategy file; all bars of one period.
    digest : str
        sha256 over the content of all of it (symbols, times, values, contracts), independent of how it is stored.
    findings : tuple
        What the quality check said of the accepted data (warnings), in reading order.
    notes : tuple of str
        What was repaired, snapped or assumed: it goes into the manifest.
    series : tuple of Series
        What a policy sees beside the bars; part of the digest.
    timeframes : tuple of int
        Periods of the coarser bars that a policy sees, ns; multiples of the bars' period, which they are made of.
    """

    instruments: tuple[Instrument, ...]
    digest: str
    findings: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    series: tuple[Series, ...] = ()
    timeframes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.instruments:
            raise DataError("a market needs at least one symbol")
        periods = {i.bars.period for i in self.instruments}
        if len(periods) > 1:
            raise DataError(
                "all symbols of one account need bars of one period; found "
                + ", ".join(f"{i.symbol} {i.bars.period / MINUTE:g}m" for i in self.instruments)
            )
        if len({i.symbol for i in self.instruments}) != len(self.instruments):
            raise DataError("a symbol is named twice")
        if len({i.contract.inverse for i in self.instruments}) > 1:
            raise DataError("linear and inverse contracts settle in different currencies and cannot share an account")
        if len({one.name for one in self.series}) != len(self.series):
            raise ConfigError("data.series: a series is named twice")
        for one in self.series:
            if one.symbol is not None and one.symbol not in self.symbols:
                raise ConfigError(
                    f"data.series.{one.name}.symbol must be one of {', '.join(self.symbols)}, was {one.symbol}"
                )
        if len(self.timeframes) > MOST_TIMEFRAMES or len(set(self.timeframes)) < len(self.timeframes):
            raise ConfigError(f"data.timeframes must be at most {MOST_TIMEFRAMES}, each named once")
        for span in self.timeframes:
            if span <= self.period or span % self.period:
                raise ConfigError(
                    f"data.timeframes: {Duration(span)} must be a multiple of the bars' period "
                    f"({Duration(self.period)}) and longer"
                )

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(i.symbol for i in self.instruments)

    @property
    def period(self) -> int:
        return self.instruments[0].bars.period
