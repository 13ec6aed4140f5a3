"""Sessions by local clocks, against a twin that walks one bar after another."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from wfbt.errors import ConfigError
from wfbt.policy.base import evaluate, load_rule
from wfbt.policy.rules.session import WEEKDAYS

RULE = load_rule("session", Path())


def run(frame, **params):
    return evaluate(RULE, {"BTC": frame}, params)["BTC"].target


def bars(start, rows, minutes, seed=0):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.004, rows)))
    index = pd.date_range(start, periods=rows, freq=f"{minutes}min", tz="UTC").as_unit("ns")
    high, low = close * (1 + rng.uniform(0, 0.002, rows)), close * (1 - rng.uniform(0, 0.002, rows))
    columns = {"open": close, "high": high, "low": low, "close": close, "volume": 1.0, "funding": np.nan}
    return pd.DataFrame(columns, index=index)


def session_of(moment, zone, opens, closes, weekdays):
    """Open and close (UTC) of the session that a bar closing at `moment` lies in: open < moment < close."""
    local = moment.astimezone(ZoneInfo(zone)).date()
    for day in (local - timedelta(days=1), local):
        begin = datetime.combine(day, time.fromisoformat(opens), ZoneInfo(zone)).astimezone(UTC)
        last = day + timedelta(days=1) if closes <= opens else day
        end = datetime.combine(last, time.fromisoformat(closes), ZoneInfo(zone)).astimezone(UTC)
        if WEEKDAYS[day.weekday()] in weekdays and begin < moment < end:
            return begin, end
    return None


def twin(frame, zone, opens, closes, minutes, weekdays=WEEKDAYS[:5]):
    out, current, side = [], None, 0.0
    upper, lower = -np.inf, np.inf
    for stamp, row in frame.iterrows():
        moment = stamp.to_pydatetime()
        found = session_of(moment, zone, opens, closes, weekdays)
        if found != current:
            current, side, upper, lower = found, 0.0, -np.inf, np.inf
        if found is not None and found[0] >= frame.index[0]:
            if moment <= found[0] + timedelta(minutes=minutes):
                upper, lower = max(upper, row["high"]), min(lower, row["low"])
            elif upper > 0:
                side = 1.0 if row["close"] > upper else -1.0 if row["close"] < lower else side
        out.append(side)
    return out


@pytest.mark.parametrize(
    ("start", "zone", "opens", "closes", "minutes"),
    [
        ("2024-03-25", "Europe/London", "08:00", "16:30", 60),  # summer time begins on the 31st
        ("2024-10-21", "Europe/London", "08:00", "16:30", 60),  # and ends on the 27th
        ("2024-03-04", "America/New_York", "09:30", "16:00", 30),
        ("2024-10-28", "America/New_York", "20:00", "03:00", 90),  # over midnight
        ("2024-03-28", "Europe/London", "22:00", "22:00", 120),  # 23 hours long on the Saturday
        ("2024-01-01", "Asia/Tokyo", "09:00", "15:00", 45),
    ],
)
def test_a_session_is_its_description_step_by_step(start, zone, opens, closes, minutes):
    frame = bars(f"{start} 00:15", 4 * 24 * 14, 15, seed=3)
    target = run(frame, zone=zone, open=opens, close=closes, range=minutes, weekdays=list(WEEKDAYS))
    np.testing.assert_array_equal(target, twin(frame, zone, opens, closes, minutes, WEEKDAYS))
    assert {-1.0, 0.0, 1.0} <= set(target)
    on_weekdays = run(frame, zone=zone, open=opens, close=closes, range=minutes)
    np.testing.assert_array_equal(on_weekdays, twin(frame, zone, opens, closes, minutes))
    assert not np.array_equal(on_weekdays, target)


@pytest.mark.parametrize(("day", "opens_at"), [("2024-03-29", "08:00"), ("2024-04-01", "07:00")])
def test_london_opens_an_hour_earlier_in_utc_once_summer_time_has_begun(day, opens_at):
    frame = bars(f"{day} 00:30", 48, 30)
    close = np.where(frame.index > pd.Timestamp(f"{day} {opens_at}Z") + pd.Timedelta(hours=1), 120.0, 100.0)
    frame = frame.assign(close=close, high=close + 1, low=close - 1)
    target = pd.Series(run(frame, range=60), index=frame.index)
    entered = target.index[target == 1.0]
    assert entered[0] == pd.Timestamp(f"{day} {opens_at}Z") + pd.Timedelta(minutes=90)
    assert entered[-1] == pd.Timestamp(f"{day} {opens_at}Z") + pd.Timedelta(hours=8)  # the bar at the close is flat


def test_it_is_flat_from_the_bar_that_closes_with_the_session():
    frame = bars("2024-01-02 00:30", 48, 30)
    close = np.where(frame.index.hour >= 10, 120.0, 100.0)
    frame = frame.assign(close=close, high=close + 1, low=close - 1)
    target = pd.Series(run(frame, zone="UTC", open="08:00", close="16:30"), index=frame.index.strftime("%H:%M"))
    assert (target["09:30"], target["10:00"], target["16:00"], target["16:30"]) == (0.0, 1.0, 1.0, 0.0)


def test_a_session_that_had_begun_before_the_data_is_not_traded():
    frame = bars("2024-01-02 08:30", 16, 30, seed=1)
    assert set(run(frame, zone="UTC", open="08:00", close="16:30")) == {0.0}
    assert set(run(frame, zone="UTC", open="08:30", close="16:30", range=30)) - {0.0}


def test_a_position_is_not_carried_over_a_hole_into_the_next_session():
    frame = bars("2024-01-02 00:30", 96, 30)
    close = np.where(frame.index >= pd.Timestamp("2024-01-02 10:00Z"), 120.0, 100.0)
    frame = frame.assign(close=close, high=close + 1, low=close - 1)
    hole = (frame.index > pd.Timestamp("2024-01-02 15:00Z")) & (frame.index < pd.Timestamp("2024-01-03 12:00Z"))
    target = pd.Series(run(frame[~hole], zone="UTC", open="08:00", close="16:30"), index=frame.index[~hole])
    assert target["2024-01-02 15:00Z"] == 1.0
    assert (target["2024-01-03 12:00Z":] == 0.0).all()  # its opening range was never seen


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"zone": "Europe/Londn"}, "zone must be an IANA time zone .*'Europe/Londn', did you mean Europe/London"),
        ({"open": "8:00"}, "open must be a time of day such as \"08:00\", was '8:00'"),
        ({"close": "24:00"}, "close must be a time of day"),
        ({"weekdays": ["mo"]}, "weekdays must be among mon, .*, was 'mo', did you mean mon"),
        ({"weekdays": []}, "weekdays must name at least one of"),
        ({"weekdays": "mon"}, r"policy\.params\.weekdays of session must be a list of text, was 'mon'"),
        ({"open": 800}, r"policy\.params\.open of session must be text, was 800"),
        ({"range": 510}, "session has no meaning with .*range 510"),
    ],
)
def test_an_impossible_session_is_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        run(bars("2024-01-02", 10, 30), **params)
