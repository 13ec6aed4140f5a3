import numpy as np
import pandas as pd
import pytest

from wfbt.data.market import DAY, HOUR, Bars, Funding, Instrument, Market, Series
from wfbt.errors import ConfigError
from wfbt.policy.frames import bars_frame, market_frames

START = pd.Timestamp("2024-01-01", tz="UTC").value
PLAIN = ["open", "high", "low", "close", "volume", "funding"]


def instrument(symbol="BTC", funding=None):
    close = np.arange(10.0, 14.0)
    open_ts = START + HOUR * np.arange(4)
    bars = Bars(
        symbol=symbol, period=HOUR, open_ts=open_ts, open=close, high=close, low=close, close=close, volume=np.ones(4)
    )
    return Instrument(bars=bars, funding=funding)


def test_bars_are_stamped_with_their_close():
    frame = bars_frame(instrument())
    assert frame.index[0] == pd.Timestamp("2024-01-01 01:00", tz="UTC")
    assert list(frame.columns) == PLAIN
    np.testing.assert_array_equal(frame["close"], [10.0, 11.0, 12.0, 13.0])
    assert frame["funding"].isna().all()


def test_funding_is_the_last_rate_settled_by_the_close():
    stamps = START + np.array([2 * HOUR, 3 * HOUR + 1])  # at a close, and just after one
    rates = Funding(ts=stamps, rate=np.array([0.1, 0.2]), mark=np.array([np.nan, np.nan]))
    np.testing.assert_array_equal(bars_frame(instrument(funding=rates))["funding"], [np.nan, 0.1, 0.1, 0.2])


def test_every_symbol_has_a_frame_in_the_order_of_the_market():
    market = Market(instruments=(instrument("Z"), instrument("A")), digest="")
    assert list(market_frames(market)) == ["Z", "A"]


# Exogenous series


def series(available, values, columns=("mood",), **rest):
    values = np.reshape(np.array(values, dtype=float), (len(available), len(columns)))
    return Series(name="news", columns=columns, available_ts=available, values=values, **rest)


def test_a_row_of_a_series_is_seen_from_the_close_at_which_it_is_known():
    at_close, just_after = START + HOUR, START + 3 * HOUR + 1
    seen = bars_frame(instrument(), [series([at_close, just_after], [1, 2])])
    assert list(seen.columns) == [*PLAIN, "news"]
    np.testing.assert_array_equal(seen["news"], [1, 1, 1, 2])
    late = bars_frame(instrument(), [series([at_close, just_after], [1, 2], delay=HOUR)])
    np.testing.assert_array_equal(late["news"], [np.nan, 1, 1, 1])
    old = bars_frame(instrument(), [series([at_close, just_after], [1, 2], max_age=HOUR)])
    np.testing.assert_array_equal(old["news"], [1, 1, np.nan, 2])


def test_several_columns_carry_the_name_of_their_series():
    seen = bars_frame(instrument(), [series([START], [1, 2], columns=("mood", "count"))])
    assert list(seen.columns) == [*PLAIN, "news_mood", "news_count"]
    assert (seen["news_mood"] == 1).all()
    assert (seen["news_count"] == 2).all()


def test_a_series_of_one_symbol_is_in_no_other_frame():
    joined = (series([START], [1], symbol="A"), Series(name="all", columns=("x",), available_ts=[START], values=[[2]]))
    frames = market_frames(Market(instruments=(instrument("Z"), instrument("A")), digest="", series=joined))
    assert list(frames["Z"].columns) == [*PLAIN, "all"]
    assert list(frames["A"].columns) == [*PLAIN, "news", "all"]


@pytest.mark.parametrize("name", [*PLAIN, "close_2h", "ts"])
def test_no_series_takes_the_name_of_a_column(name):
    taking = Series(name=name, columns=("x",), available_ts=[START], values=[[1]])
    with pytest.raises(
        ConfigError, match=rf"^data.series.{name}: a rule would see its values as {name}, and sees ts, op"
    ):
        bars_frame(instrument(), [taking], [2 * HOUR])


def test_two_series_do_not_meet_in_one_name():
    pair = [
        series([START], [1, 2], columns=("mood", "count")),
        Series(name="news_mood", columns=("x",), available_ts=[START], values=[[1]]),
    ]
    with pytest.raises(
        ConfigError, match=r"^data.series.news_mood: .* as news_mood, and sees ts, open, .* news_mood, "
    ):
        bars_frame(instrument(), pair)


# Coarser bars


def walk(n, period=HOUR, start=START, seed=1):
    """Bars whose prices and volumes all differ."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    open_ = close * np.exp(rng.normal(0, 0.002, n))
    return Bars(
        symbol="BTC",
        period=period,
        open_ts=start + period * np.arange(n),
        open=open_,
        high=np.maximum(open_, close) * (1 + rng.uniform(0, 0.01, n)),
        low=np.minimum(open_, close) * (1 - rng.uniform(0, 0.01, n)),
        close=close,
        volume=rng.uniform(1, 9, n),
    )


def kept(bars, mask):
    columns = {name: getattr(bars, name)[mask] for name in ("open_ts", *PLAIN[:5])}
    return Bars(symbol=bars.symbol, period=bars.period, **columns)


def expected(bars, span, name, anchor=0):
    """Bar after bar, by the definition: the last whole span that ended by now and held a bar."""
    out = []
    for now in bars.close_ts.tolist():
        value = np.nan
        begins = sorted({(ts - anchor) // span * span + anchor for ts in bars.open_ts.tolist()})
        for begin in begins:
            inside = (bars.open_ts >= begin) & (bars.open_ts < begin + span)
            whole = begin > bars.open_ts[0] - bars.period
            if whole and begin + span <= now and bars.close_ts[inside].max() <= now:
                value = {
                    "open": bars.open[inside][0],
                    "high": bars.high[inside].max(),
                    "low": bars.low[inside].min(),
                    "close": bars.close[inside][-1],
                    "volume": bars.volume[inside].sum(),
                }[name]
        out.append(value)
    return np.array(out)


HOLES = {
    "whole": lambda n: np.ones(n, bool),
    "holes": lambda n: np.random.default_rng(5).random(n) > 0.4,
    "a lost day": lambda n: (np.arange(n) < 50) | (np.arange(n) >= 80),
    "begun in the middle": lambda n: np.arange(n) >= 7,
}


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("holes", HOLES)
@pytest.mark.parametrize(("span", "label"), [(2 * HOUR, "2h"), (5 * HOUR, "5h"), (DAY, "1d")])
def test_a_coarse_column_holds_the_last_coarse_bar_that_had_closed(span, label, holes, name):
    bars = walk(200)
    bars = kept(bars, HOLES[holes](len(bars)))
    seen = bars_frame(Instrument(bars=bars), timeframes=[span])
    np.testing.assert_allclose(seen[f"{name}_{label}"], expected(bars, span, name), rtol=1e-15)


def test_a_coarse_bar_is_known_at_its_own_close_though_its_last_bars_are_missing():
    bars = walk(9)
    bars = kept(bars, ~np.isin(np.arange(9), [2, 3]))
    seen = bars_frame(Instrument(bars=bars), timeframes=[4 * HOUR])
    # Closes at 1, 2, 5, 6, 7, 8, 9 o'clock: at 2 nobody knew that nothing would come before 4.
    first, second = bars.close[1], bars.close[5]
    np.testing.assert_array_equal(seen["close_4h"], [np.nan, np.nan, first, first, first, second, second])


def test_weeks_begin_on_monday_and_are_named_so():
    bars = walk(30, period=DAY, start=START - 4 * DAY)  # from a Thursday; START is a Monday
    seen = bars_frame(Instrument(bars=bars), timeframes=[7 * DAY, 14 * DAY])
    assert list(seen.columns[6:]) == [f"{name}_{span}" for span in ("1w", "2w") for name in PLAIN[:5]]
    np.testing.assert_array_equal(seen["close_1w"], expected(bars, 7 * DAY, "close", START))
    assert seen["close_1w"].first_valid_index() == pd.Timestamp("2024-01-08", tz="UTC")
    assert seen.loc["2024-01-08", "open_1w"] == bars.open[4]


def test_bars_off_the_hour_give_coarse_bars_when_the_last_of_them_has_closed():
    bars = walk(12, start=START + HOUR // 2)
    seen = bars_frame(Instrument(bars=bars), timeframes=[4 * HOUR])
    # The bar of 03:30 belongs to the span that ends at 04:00, and closes at 04:30.
    assert seen["close_4h"].first_valid_index() == pd.Timestamp("2024-01-01 04:30", tz="UTC")
    np.testing.assert_array_equal(seen["close_4h"], expected(bars, 4 * HOUR, "close"))


# Causality


@pytest.mark.parametrize("cut", [0, 1, 37, 38, 100, 198])
def test_nothing_that_comes_later_is_in_a_row(cut):
    """What is published after a bar's close, and bars after it, scrambled: the rows up to it are the same bits."""
    rng = np.random.default_rng(cut)
    bars = walk(200)
    happened = START + np.sort(rng.choice(200 * 60, 500, replace=False)) * 60_000_000_000
    published = np.unique(happened + rng.integers(0, 6 * HOUR, 500))
    values = rng.normal(size=(len(published), 2))
    values[rng.random(values.shape) < 0.1] = np.nan
    delay = 15 * 60_000_000_000
    now = bars.close_ts[cut]

    def frame(bars, published, values):
        news = series(published, values, columns=("a", "b"), delay=delay, max_age=12 * HOUR)
        return bars_frame(Instrument(bars=bars), [news], [2 * HOUR, 5 * HOUR, DAY])

    later = published + delay > now
    other = walk(200, seed=99)
    columns = {n: np.r_[getattr(bars, n)[: cut + 1], getattr(other, n)[cut + 1 :]] for n in PLAIN[:5]}
    changed = Bars(symbol="BTC", period=HOUR, open_ts=bars.open_ts, **columns)
    scrambled = np.where(later[:, None], rng.permutation(values) + 5, values)
    moved = np.unique(np.r_[published[~later], published[later] + rng.integers(0, HOUR)])
    whole, mixed = frame(bars, published, values), frame(changed, moved, scrambled)
    assert whole.iloc[: cut + 1].to_numpy().tobytes() == mixed.iloc[: cut + 1].to_numpy().tobytes()
    # So does the frame of what was there by then and no more.
    short = frame(kept(bars, bars.close_ts <= now), published[~later], values[~later]) if (~later).any() else None
    assert short is None or whole.iloc[: cut + 1].to_numpy().tobytes() == short.to_numpy().tobytes()
    assert not whole.iloc[cut + 1 :].equals(mixed.iloc[cut + 1 :])


def test_a_join_on_when_it_happened_would_fail_that():
    bars = walk(50)
    happened = START + HOUR * np.arange(0, 40, 4)
    published = happened + 3 * HOUR
    now = bars.close_ts[20]
    values = np.arange(1.0, 11.0)
    changed = np.where(published > now, -values, values)

    def seen(stamps, values):
        return bars_frame(Instrument(bars=bars), [series(stamps, values)])["news"].to_numpy()[:21]

    assert seen(published, values).tobytes() == seen(published, changed).tobytes()
    assert seen(happened, values).tobytes() != seen(happened, changed).tobytes()
