"""A rule that trades only while a market place is open."""

from __future__ import annotations

import re
import zoneinfo

import numpy as np
import pandas as pd

from wfbt.errors import ConfigError
from wfbt.policy.rules.base import I8, carried, check_lengths, columns, rule, targets
from wfbt.policy.wording import near

MINUTE = 60_000_000_000
DAY_MINUTES = 24 * 60
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@rule(valid=lambda open, close, range, **_: range < _length(open, close))
def session(
    bars: pd.DataFrame,
    zone: str = "Europe/London",
    open: str = "08:00",
    close: str = "16:30",
    weekdays: tuple[str, ...] = WEEKDAYS[:5],
    range: int = 60,
    short: bool = True,
) -> pd.Series[float]:
    """Follow the breakout of a session's opening range, and be flat outside of the session.

    A session opens at the local time `open` of `zone` on each of `weekdays` and lasts until the next `close`, the
    following day's where that is not later than `open`.  A bar is placed by its close alone.  The range is the highest
    high and the lowest low of the bars that close in (open, open + `range` minutes].  After it, long (1) from a close
    above the range, short (−1) from one below it, or flat without `short`; the last breakout holds.  Flat (0) from the
    first bar that closes at or after the session's close, before the first breakout, and in a session that was open
    before the data begins.  A local time that the clock skips is the next one that exists; of one that comes twice the
    first counts.  Known at the close, from the first row on.
    """
    check_lengths(1, range=range)
    high, low, price = columns(bars, "high", "low", "close")
    times = pd.DatetimeIndex(bars.index).as_unit("ns")
    if not len(times):
        return targets(bars, np.zeros(0))
    opens, closes = _sessions(times, zone, open, close, weekdays)
    ts = times.asi8
    opens, closes = opens[opens >= ts[0]], closes[opens >= ts[0]]
    # −1: before the first session.  What closes at the open itself was traded before it.
    number = np.searchsorted(opens, ts, side="left") - 1
    known = np.maximum(number, 0)
    if not len(opens):
        return targets(bars, np.zeros(len(ts)))
    inside = (number >= 0) & (ts < closes[known])
    opening = inside & (ts <= opens[known] + range * MINUTE)
    upper, lower = np.full(len(opens), np.nan), np.full(len(opens), np.nan)
    np.fmax.at(upper, number[opening], high[opening])
    np.fmin.at(lower, number[opening], low[opening])
    later = inside & ~opening
    begins = number != np.concatenate(([-1], number[:-1]))
    target = carried(
        np.ones(len(ts), dtype=np.bool_),
        (~later | begins, 0.0),
        (later & (price < lower[known]), -1.0 if short else 0.0),
        (later & (price > upper[known]), 1.0),
    )
    return targets(bars, target)


def _sessions(times: pd.DatetimeIndex, zone: str, open: str, close: str, weekdays: tuple[str, ...]) -> tuple[I8, I8]:
    """Open and close (ns UTC, (S,) each) of the sessions that any of `times` may lie in, in order of time."""
    place = _zone(zone)
    for day in weekdays:
        if day not in WEEKDAYS:
            raise ConfigError(f"weekdays must be among {', '.join(WEEKDAYS)}, was {day!r}{near(day, WEEKDAYS)}")
    if not weekdays:
        raise ConfigError(f"weekdays must name at least one of {', '.join(WEEKDAYS)}")
    local = times.tz_convert(place).tz_localize(None).normalize()
    days = pd.date_range(local.min() - pd.Timedelta(days=1), local.max() + pd.Timedelta(days=1), unit="ns")
    days = days[np.isin(days.day_of_week, [WEEKDAYS.index(day) for day in weekdays])]
    begin = _minutes("open", open)

    def moments(minutes: int) -> I8:
        # A day's own clock: minutes after midnight would be an hour off on the day the clocks change.
        after, clock = divmod(minutes, DAY_MINUTES)
        walls = days + pd.Timedelta(days=after) + pd.Timedelta(minutes=clock)
        first = np.ones(len(walls), dtype=np.bool_)
        return walls.tz_localize(place, ambiguous=first, nonexistent="shift_forward").as_unit("ns").asi8

    return moments(begin), moments(begin + _length(open, close))


def _length(open: str, close: str) -> int:
    """Minutes from one time of day to the next of the other, on a day without a change of clocks."""
    return (_minutes("close", close) - _minutes("open", open) - 1) % DAY_MINUTES + 1


def _minutes(name: str, text: str) -> int:
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ConfigError(f'session: {name} must be a time of day such as "08:00", was {text!r}')
    return int(text[:2]) * 60 + int(text[3:])


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = near(name, zoneinfo.available_timezones())
        raise ConfigError(f"zone must be an IANA time zone such as Europe/London, was {name!r}{hint}") from error
