"""From what a policy wants to what the kernel replays: sparse, sorted intents, sized in equity or in quote."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import DAY, Market
from wfbt.engine.activity import annual_volatility, days_ended
from wfbt.engine.exposure import daily_marks_returns, trailing_correlations
from wfbt.engine.setup import Setup
from wfbt.engine.tape import Deck
from wfbt.errors import ConfigError, PolicyError
from wfbt.features.indicators import atr
from wfbt.features.volatility import trailing_sigma_volume
from wfbt.kernels.abi import INTENT, SHEET
from wfbt.policy.base import Columns

F8 = npt.NDArray[np.float64]
NEVER = np.iinfo(np.int64).max
ABSENT: Mapping[str, float | int] = {
    **dict.fromkeys(("limit", "trigger", "other_size", "other_limit", "other_trigger"), np.nan),
    "expire": NEVER,
}
COLUMNS = ("row", "asset", "target", "size", "stop", "take", "trail", "bar", *ABSENT)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """Every row on which a target is named, (K,) each, by symbol and then by row.

    Attributes
    ----------
    row, asset : int64
        Execution row of the decision, index of the symbol.
    target : float64
        The bare number, which decides whether anything new is said.
    size, stop, take, trail : float64
        As in INTENT.
    limit, trigger, other_size, other_limit, other_trigger : float64, or None where no row has one
    expire : int64 or None
        ns UTC; None: nothing lapses.
    bar : int64, or None without slices
        Decision bar of the row.
    slices : int
        Slices of every order; those of (bar, asset) begin at (bar·`assets` + asset)·slices.
    lent : tuple of (symbol, kind)
        Distances that a policy's column had no number for yet when it named a target, so that the exits section's held.
    """

    row: npt.NDArray[np.int64]
    asset: npt.NDArray[np.int64]
    target: F8
    size: F8
    stop: F8
    take: F8
    trail: F8
    limit: F8 | None = None
    trigger: F8 | None = None
    other_size: F8 | None = None
    other_limit: F8 | None = None
    other_trigger: F8 | None = None
    expire: npt.NDArray[np.int64] | None = None
    bar: npt.NDArray[np.int64] | None = None
    slices: int = 0
    assets: int = 1
    lent: tuple[tuple[str, str], ...] = ()

    def at(self, chosen: Any) -> Said:
        """Some of it: a slice, a mask or indices."""
        some = {name: column[chosen] for name in COLUMNS if (column := getattr(self, name)) is not None}
        return replace(self, **some)

    def within(self, start: int, stop: int) -> Said:
        """What is said on execution rows [start, stop)."""
        return self.at((self.row >= start) & (self.row < stop))

    def records(self) -> npt.NDArray[np.void]:
        """INTENT records, sorted by (row, asset)."""
        out = np.zeros(len(self.row), INTENT)
        for name in ("row", "asset", "size", "stop", "take", "trail"):
            out[name] = getattr(self, name)
        for name, absent in ABSENT.items():
            column = getattr(self, name)
            out[name] = absent if column is None else column
        if self.bar is not None:
            out["first_slice"] = (self.bar * self.assets + self.asset) * self.slices
            out["last_slice"] = out["first_slice"] + self.slices
        if len(out) and self.asset[0] == self.asset[-1]:
            return out
        return out[np.lexsort((out["asset"], out["row"]))]

    def _changed(self) -> npt.NDArray[np.bool_]:
        """Rows whose number differs from the last one of their symbol, before the first 0."""
        before = np.zeros(len(self.target))
        before[1:] = self.target[:-1]
        before[1:][self.asset[1:] != self.asset[:-1]] = 0.0
        return np.asarray(self.target != before)

    def intents(self) -> npt.NDArray[np.void]:
        """What an account that hears all of it is told."""
        return self.at(np.flatnonzero(self._changed())).records()

    def heard_from(self, starts: Sequence[int]) -> Heard:
        """What accounts that begin on each of `starts`, flat, are told."""
        changed = self._changed()
        borders = [*np.searchsorted(self.asset, np.unique(self.asset)).tolist(), len(self.asset)]
        openings = {}
        for start in set(starts):
            first = []
            for low, high in itertools.pairwise(borders):
                i = low + int(np.searchsorted(self.row[low:high], start))
                if i < high and not changed[i] and self.target[i] != 0.0:
                    first.append(i)
            openings[start] = self.at(np.array(first, np.int64)).records()
        return Heard(intents=self.at(np.flatnonzero(changed)).records(), openings=openings)

    @staticmethod
    def joined(parts: Sequence[Said]) -> Said:
        """One after another."""
        if len(parts) == 1:
            return parts[0]
        whole: dict[str, Any] = {}
        for name in COLUMNS:
            if any(getattr(part, name) is not None for part in parts):
                whole[name] = np.concatenate([part._column(name) for part in parts])
        whole["lent"] = tuple(sorted({one for part in parts for one in part.lent}))
        return replace(parts[0], **whole)

    def _column(self, name: str) -> Any:
        column = getattr(self, name)
        return np.full(len(self.row), ABSENT[name]) if column is None else column

    @staticmethod
    def stitched(parts: Sequence[Said]) -> Said:
        """One saying after another in time, as one account hears them."""
        whole = Said.joined(parts)
        return whole.at(np.lexsort((whole.row, whole.asset)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """Sparse intents of a whole span, and what repeats the last number but is new to an account that begins there."""

    intents: npt.NDArray[np.void]
    openings: Mapping[int, npt.NDArray[np.void]]

    def between(self, start: int, stop: int) -> npt.NDArray[np.void]:
        """Intents of an account that begins on execution row `start`, flat, and ends before `stop`."""
        low, high = np.searchsorted(self.intents["row"], [start, stop])
        opening = self.openings[start]
        if not len(opening):
            return self.intents[low:high]
        out = np.concatenate([opening[opening["row"] < stop], self.intents[low:high]])
        return out[np.lexsort((out["asset"], out["row"]))]


def _news(target: F8) -> npt.NDArray[np.int64]:
    """Rows of one symbol's targets whose number differs from the last one, before the first 0."""
    changed = np.empty(len(target), bool)
    changed[:1] = target[:1] != 0.0
    np.not_equal(target[1:], target[:-1], out=changed[1:])
    return np.flatnonzero(changed)


class Lowering:
    """Lowers a policy's columns under one setup.

    What depends on the market alone (average true ranges, volatility) is computed once and serves every candidate.
    """

    def __init__(self, market: Market, deck: Deck, setup: Setup) -> None:
        self.market, self.deck, self.setup = market, deck, setup
        self.sizing, self.exits = setup.sizing, setup.exits
        self._distances = [self._own_exits(a) for a in range(len(deck.symbols))]
        diversify = self.sizing.diversify and len(deck.symbols) > 1
        together = self._correlations() if diversify else None
        self._scales = [self._scale(a, together) for a in range(len(deck.symbols))]
        schedule = setup.orders.schedule
        self._slices = schedule.slices if schedule else 0

    def _own_exits(self, a: int) -> dict[str, F8 | None]:
        """Distances (T_a,) that the exits section gives each bar of a symbol; None where it names none."""
        exits, bars = self.exits, self.market.instruments[a].bars
        ranges = None
        if exits.stop_atr or exits.take_atr or exits.trail_atr:
            ranges = atr(bars.high, bars.low, bars.close, exits.atr)

        def nearer(multiple: float | None, percent: float | None) -> F8 | None:
            by_range = None if multiple is None or ranges is None else multiple * ranges
            by_price = None if percent is None else percent * bars.close
            if by_range is None or by_price is None:
                return by_price if by_range is None else by_range
            return np.minimum(by_range, by_price)

        return {
            "stop": nearer(exits.stop_atr, exits.stop_pct),
            "take": nearer(exits.take_atr, exits.take_pct),
            "trail": nearer(exits.trail_atr, None),
        }

    def lower(self, columns: Mapping[str, Columns]) -> npt.NDArray[np.void]:
        """Intents of all symbols, sorted by (row, asset): one for each target that differs from the one before it."""
        return Said.joined(
            [
                self._say_one(a, columns[symbol], self._forecast(a, None), news_only=True)
                for a, symbol in enumerate(self.deck.symbols)
            ]
        ).records()

    def say(self, columns: Mapping[str, Columns], forecast: Mapping[str, F8] | None = None) -> Said:
        """Every row on which `columns` name a target, before what merely repeats the last number is left out.

        `forecast` is the volatility a year (T_a,) of each symbol that is traded, known at each close, for a setup whose
        sizes or distances are made of it; ConfigError where they are and there is none.
        """
        return Said.joined(
            [
                self._say_one(a, columns[symbol], self._forecast(a, forecast))
                for a, symbol in enumerate(self.deck.symbols)
            ]
        )

    def _forecast(self, a: int, forecast: Mapping[str, F8] | None) -> F8 | None:
        """The forecast (T_a,) of a symbol, NaN of one that is not forecast; None where nothing asks for it."""
        if not (self.sizing.forecast or self.exits.forecast):
            return None
        if forecast is None:
            raise ConfigError(
                "sizing.forecast and exits.stop_vol, take_vol and trail_vol need a forecast of volatility, which is "
                "fitted on each fold's training rows: run a strategy file with a volatility section"
            )
        own = forecast.get(self.deck.symbols[a])
        return np.full(len(self.market.instruments[a].bars), np.nan) if own is None else own

    def _distance(self, a: int, name: str, forecast: F8 | None) -> F8 | None:
        """Distances (T_a,) that the exits section gives each bar; None where it names none."""
        own, multiple = self._distances[a][name], getattr(self.exits, f"{name}_vol")
        if multiple is None or forecast is None:
            return own
        share = np.sqrt(self.exits.horizon / (self.deck.calendar.days_a_year * DAY))
        by_forecast: F8 = multiple * forecast * share * self.market.instruments[a].bars.close
        return by_forecast if own is None else np.minimum(own, by_forecast)

    def _say_one(self, a: int, wants: Columns, forecast: F8 | None, news_only: bool = False) -> Said:
        symbol, bars = self.deck.symbols[a], self.market.instruments[a].bars
        if len(wants) != len(bars):
            raise PolicyError(f"{symbol}: {len(wants)} targets for {len(bars)} bars")
        self._check_orders(symbol, wants)
        distances, lent = self._reach(a, wants, forecast)
        self._check_ratchet(symbol, distances["stop"])
        weight = self._weight(a, wants.target, distances["stop"], forecast, self._scale_of(a, wants))
        target, unsaid = wants.target, np.isnan(weight)
        chosen: Any = np.flatnonzero(~unsaid) if unsaid.any() else None
        if news_only:
            news = _news(target if chosen is None else target[chosen])
            chosen = news if chosen is None else chosen[news]
        place = self.deck.places[a] if chosen is None else self.deck.places[a][chosen]
        none = np.broadcast_to(np.nan, len(place))

        def some(column: F8) -> F8:
            return column if chosen is None else column[chosen]

        reach = {name: none if column is None else some(column) for name, column in distances.items()}
        return Said(
            row=place if self.deck.plain else self.deck.decisions[place],
            asset=np.broadcast_to(a, len(place)),
            target=some(target),
            size=some(weight),
            stop=reach["stop"],
            take=reach["take"],
            trail=reach["trail"],
            **self._order(a, wants, distances["stop"], forecast, some),
            bar=place if self._slices else None,
            slices=self._slices,
            assets=len(self.deck.symbols),
            lent=lent,
        )

    def _check_ratchet(self, symbol: str, stop: F8 | None) -> None:
        if self.exits.ratchet is not None and stop is None:
            raise PolicyError(
                f"{symbol}: exits.ratchet counts in stop distances, and there is no stop: let the rule return one, or "
                "set exits.stop_atr, stop_pct or stop_vol"
            )

    def _reach(
        self, a: int, wants: Columns, forecast: F8 | None
    ) -> tuple[dict[str, F8 | None], tuple[tuple[str, str], ...]]:
        """Distances (T_a,) of stop, take and trail, and which of them the exits section lent (`Said.lent`).

        A policy's column replaces the section's from its first number on: before it nothing tells a column that has
        nothing to say from one that never will have, and a column of NaN must not switch an exit off.
        """
        out: dict[str, F8 | None] = {}
        lent = []
        for name in ("stop", "take", "trail"):
            own, section = getattr(wants, name), self._distance(a, name, forecast)
            if own is None or section is None:
                out[name] = section if own is None else own
                continue
            known = ~np.isnan(own)
            first = int(known.argmax()) if known.any() else len(own)
            out[name] = np.concatenate([section[:first], own[first:]]) if first else own
            early = wants.target[:first]
            if (~np.isnan(early) & (early != 0.0)).any():
                lent.append((self.deck.symbols[a], name))
        return out, tuple(lent)

    def _order(
        self, a: int, wants: Columns, stop: F8 | None, forecast: F8 | None, some: Callable[[F8], F8]
    ) -> dict[str, Any]:
        """What makes an order more than a market order, for the rows that `some` keeps."""
        given: dict[str, Any] = {
            name: some(column)
            for name in ("limit", "trigger", "other_limit", "other_trigger")
            if (column := getattr(wants, name)) is not None and not np.isnan(column).all()
        }
        if wants.other is not None and not np.isnan(wants.other).all():
            given["other_size"] = some(self._weight(a, wants.other, stop, forecast, self._scale_of(a, wants)))
        if wants.expire is not None and not np.isnan(wants.expire).all():
            bars = self.market.instruments[a].bars
            lapses = np.full(len(bars), NEVER)
            known = wants.expire < (NEVER - bars.close_ts) // bars.period  # beyond 64 bits is never
            lapses[known] = bars.close_ts[known] + wants.expire[known].astype(np.int64) * bars.period
            given["expire"] = some(lapses)
        return given

    def _check_orders(self, symbol: str, wants: Columns) -> None:
        """PolicyError on orders that the schedule cannot work, and on exits that contradict the policy's own."""
        if self.exits.trail_follow and wants.trail is not None and not np.isnan(wants.trail).all():
            raise PolicyError(
                f"{symbol}: the policy returned trail, and exits.trail_follow would replace its distance on the next "
                "bar; set exits.trail_follow to false, or let the rule return none"
            )
        schedule = self.setup.orders.schedule
        for name in ("trigger", "other"):
            column = getattr(wants, name)
            if schedule is not None and column is not None and not np.isnan(column).all():
                raise PolicyError(
                    f"{symbol}: the policy returned {name}, and orders.schedule works orders in parts: an order that "
                    "waits for a price or for another one cannot be scheduled; set orders.schedule to null"
                )
        for name in ("other_limit", "other_trigger"):
            column = getattr(wants, name)
            if column is not None and (wants.other is None or (~np.isnan(column) & np.isnan(wants.other)).any()):
                raise PolicyError(f"{symbol}: the policy returned {name} without other, the target it belongs to")

    def _scale_of(self, a: int, wants: Columns) -> F8 | None:
        """(T_a,) what the market and what the policy's own study make smaller; None: nothing does."""
        market, own = self._scales[a], wants.scale
        return market if own is None else own if market is None else market * own

    def _correlations(self) -> F8:
        """(D + 1, A, A) of all symbols, over the days that the exposure limits judge by."""
        days = daily_marks_returns(self.deck.tape.mark_close, self.deck.day_rows)
        return trailing_correlations(days, self.setup.limits.exposure.window)

    def _scale(self, a: int, together: F8 | None) -> F8 | None:
        """(T_a,) what sizes are multiplied by, in 0..1, known at each close; None: nothing scales them.

        `together` are the correlations that make sizes smaller, None where they do not.
        """
        sizing = self.sizing
        scale: F8 | None = None
        if sizing.quiet_volatility is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                scale = np.minimum(sizing.quiet_volatility / self._annual(a), 1.0)
            scale = np.where(np.isnan(scale), 1.0, scale)
        if together is not None:
            others = np.delete(together[:, a, :], a, axis=1)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # no other symbol is known yet
                mean = np.nan_to_num(np.nanmean(others, axis=1), nan=0.0)
            shrunk = 1.0 / np.sqrt(1.0 + others.shape[1] * np.maximum(mean, 0.0))
            ended = days_ended(len(self.deck.tape.open_ts), self.deck.day_rows)
            rows = self.deck.decisions[self.deck.places[a]]
            scale = shrunk[ended[rows]] * (1.0 if scale is None else scale)
        return scale

    def _annual(self, a: int) -> F8:
        """(T_a,) annual volatility of a symbol, NaN where it is not known yet."""
        bars, horizon = self.market.instruments[a].bars, self.deck.horizon
        sigma, _ = trailing_sigma_volume(bars.close, bars.volume, bars.period, horizon)
        return annual_volatility(sigma, horizon, 365.0 if self.deck.calendar.weekends else 252.0)

    def _weight(self, a: int, target: F8, stop: F8 | None, forecast: F8 | None, scale: F8 | None) -> F8:
        """Size of each row's target: a share of equity, or quote for method fixed; NaN where it cannot be known yet.

        A multiple of the target, so that an account that decides bar by bar can be given the multiples beforehand.
        """
        if self.sizing.method == "fraction" and scale is None:
            return target
        if self.sizing.method == "risk":
            self._check_stops(a, target, stop)
        unit = self._unit(a, np.sign(target), stop, forecast)
        if scale is not None:
            unit = unit * scale
        return np.where(target == 0, 0.0, target * unit) if self.sizing.method == "risk" else target * unit

    def _unit(self, a: int, side: F8, stop: F8 | None, forecast: F8 | None) -> F8:
        """(T_a,) size of a target of 1 on the `side` (−1, 0, 1) of each row."""
        sizing, close = self.sizing, self.market.instruments[a].bars.close
        if sizing.method == "fraction":
            return np.ones(len(close))
        if sizing.method == "fixed":
            assert sizing.notional is not None
            return np.full(len(close), sizing.notional)
        with np.errstate(divide="ignore", invalid="ignore"):
            if sizing.method == "volatility":
                sigma = forecast if sizing.forecast and forecast is not None else self._annual(a)
                return np.where(sigma > 0, sizing.goal / sigma, np.nan)
            assert stop is not None
            # An inverse contract loses multiplier·(1/(p−d) − 1/p) a unit at its stop, a linear one multiplier·d.
            price = close - side * stop if self.market.instruments[a].contract.inverse else close
            return np.asarray(sizing.risk * price / stop)

    def _check_stops(self, a: int, target: F8, stop: F8 | None) -> None:
        """PolicyError where a target has no stop to be sized by."""
        symbol = self.deck.symbols[a]
        if stop is None or (np.isnan(stop) & (target != 0) & ~np.isnan(target)).sum() == (target != 0).sum() > 0:
            raise PolicyError(
                f"{symbol}: sizing.method risk needs a stop: let the rule return one, or set exits.stop_atr, stop_pct "
                "or stop_vol"
            )
        known = np.flatnonzero(~np.isnan(stop))
        blind = np.isnan(stop) & (target != 0) & ~np.isnan(target)
        if len(known) and (late := np.flatnonzero(blind[known[0] :])).size:
            row = int(known[0] + late[0])
            when = pd.Timestamp(int(self.market.instruments[a].bars.close_ts[row]), tz="UTC")
            raise PolicyError(
                f"{symbol}: target {target[row]:g} at row {row} ({when:%Y-%m-%d %H:%M:%S}Z) has no stop, and "
                "sizing.method risk cannot size it; return a stop with every target, or NaN for both"
            )

    @property
    def slices(self) -> int:
        """Slices of every order; 0: orders are not sliced."""
        return self._slices

    def sheet(
        self, forecast: Mapping[str, F8] | None = None, wants: Mapping[str, Columns] | None = None
    ) -> npt.NDArray[np.void]:
        """What each decision bar would make of a target, (T, A) SHEET: for accounts that decide by what became of them.

        Distances and scales are those of `wants`, as in `say`; its targets are not read.
        """
        shape = (len(self.deck.decisions), len(self.deck.symbols))
        sheet = np.full(shape, np.nan, SHEET)
        for a, (symbol, places) in enumerate(zip(self.deck.symbols, self.deck.places, strict=True)):
            own = self._forecast(a, forecast)
            given = Columns(target=np.full(len(places), np.nan)) if wants is None else wants[symbol]
            distances, _ = self._reach(a, given, own)
            self._check_ratchet(symbol, distances["stop"])
            for name, column in distances.items():
                if column is not None:
                    sheet[name][places, a] = column
            for name, side in (("long", 1.0), ("short", -1.0), ("flat", 0.0)):
                target = np.full(len(places), side)
                scale = self._scale_of(a, given)
                sheet[name][places, a] = self._weight(a, target, distances["stop"], own, scale)
        sheet.flags.writeable = False
        return sheet
