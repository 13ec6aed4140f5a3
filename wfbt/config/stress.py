"""Sections on what a strategy is put through: bad days, larger accounts, older signals."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from wfbt.config.messages import nearest
from wfbt.config.section import Section
from wfbt.config.values import ByKey, Duration, Fraction, Listed, Name, Positive, Span, SymbolName, Time
from wfbt.config.windows import Lengths

Bars = Annotated[int, Field(ge=1, le=10_000)]
Wider = Annotated[float, Field(ge=1, le=1000)]
PartLost = Annotated[float, Field(gt=0, lt=1)]
PartBack = Annotated[float, Field(ge=0, le=1)]


def _moment(value: object) -> Time | str:
    if value == "worst":
        return "worst"
    try:
        return Time.parse(value)
    except ValueError as error:
        raise ValueError(f"{error}, or worst") from None


def _rising(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(after <= before for before, after in pairwise(value)):
        raise ValueError("must rise from one to the next")
    return value


Counts = Annotated[tuple[Bars, ...], Listed, Field(min_length=1, max_length=8), AfterValidator(_rising)]


class FlashCrash(Section):
    """A fall of all prices, and a jump as large, over each of `bars`; `recover` of it comes back in as many bars."""

    shock: PartLost = 0.3
    bars: Counts = (1, 6)
    recover: PartBack = 0.5


class LiquidityCrisis(Section):
    """A wider spread and a thinner book for a while."""

    spread: Wider = 10.0
    volume: Fraction = 0.1
    lasts: Span = Duration.parse("7d")


class CorrelationBreakdown(Section):
    """All pairs of symbols move together, or the other way round, for a while."""

    rho: Annotated[float, Field(gt=0, lt=1)] = 0.95
    lasts: Span = Duration.parse("30d")


class FailedOrders(Section):
    """Orders that are refused or time out, and are sent again."""

    probability: Annotated[float, Field(gt=0, le=0.9)] = 0.05
    retry: Span = Duration.parse("30s")


class StaleFeed(Section):
    """A feed that lags by some bars until a second one takes over."""

    bars: Bars = 3
    lasts: Span = Duration.parse("24h")


class Scenario(Section):
    """A user's own bad day.  `at` is its moment, or worst: where the account stands worst for it."""

    at: Annotated[Any, PlainValidator(_moment)] = "worst"
    shock: Annotated[float, Field(gt=-1, le=10)] = 0.0
    bars: Bars = 1
    recover: PartBack = 0.0
    symbols: Annotated[tuple[SymbolName, ...], Listed, Field(min_length=1)] | None = None
    spread: Wider = 1.0
    volume: Fraction = 1.0
    lasts: Span = Duration.parse("24h")
    outage: Span | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not self.shock and self.spread == 1 and self.volume == 1 and self.outage is None:
            raise ValueError("must change something: give shock, spread, volume or outage")
        if self.symbols is not None and not self.shock and self.volume == 1:
            raise ValueError(
                "names symbols, but spread and outage are the whole venue's: give shock or volume, or none"
            )
        if self.recover and not self.shock:
            raise ValueError("recovers from nothing: give shock")
        return self


class Stress(Section):
    """What the out-of-sample account is put through; null switches a test off."""

    flash_crash: FlashCrash | None = FlashCrash()
    liquidity_crisis: LiquidityCrisis | None = LiquidityCrisis()
    correlation_breakdown: CorrelationBreakdown | None = CorrelationBreakdown()
    outage: Lengths | None = tuple(Duration.parse(length) for length in ("1h", "4h", "24h"))
    failed_orders: FailedOrders | None = FailedOrders()
    stale_feed: StaleFeed | None = StaleFeed()
    history: bool = True
    scenarios: Annotated[dict[Name, Scenario], ByKey] = Field(default={})


Sizes = Annotated[tuple[Positive, ...], Listed, Field(min_length=3, max_length=40), AfterValidator(_rising)]


class Capacity(Section):
    """Sizes of the account that the same decisions are replayed with, in its currency."""

    sizes: Sizes = (1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7, 3e7, 1e8)


Lags = Annotated[tuple[Bars, ...], Listed, Field(min_length=4, max_length=60), AfterValidator(_rising)]


class Decay(Section):
    """Bars ahead at which a signal is compared with what the price did, and resamples for the interval."""

    lags: Lags = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 72, 96)
    resamples: Annotated[int, Field(ge=100, le=10_000)] = 500


def check_scenarios(stress: Stress | None, symbols: tuple[str, ...], start: int, end: int) -> None:
    """Hold the scenarios to the symbols and the span of the data."""
    for name, given in (stress.scenarios if stress else {}).items():
        for symbol in given.symbols or ():
            if symbol not in symbols:
                near = nearest(symbol, symbols)
                rule = f"must be of data.symbols ({', '.join(symbols)})" + (f"; did you mean {near}?" if near else "")
                raise _across(f"stress.scenarios.{name}.symbols", rule, symbol)
        if given.at != "worst" and not start <= given.at < end:
            raise _across(f"stress.scenarios.{name}.at", "must lie within data.start to data.end", str(given.at))


def _across(key: str, rule: str, value: object) -> PydanticCustomError:
    return PydanticCustomError("across", "{rule}", {"key": key, "rule": rule, "value": value})
