import numpy as np
import pytest

from tests.test_causality import PAST, market_of
from wfbt.data.market import HOUR
from wfbt.policy.answers import unequal
from wfbt.policy.frames import market_frames
from wfbt.validation.futures import STYLES, Spans, altered, prefix, restored

MARKET = market_of(PAST)
CLOSES = MARKET.instruments[0].bars.close_ts
NOW = int(CLOSES[250])


def known(market, now):
    """The bytes of every frame's rows that are known at `now`."""
    frames = market_frames(market)
    return {symbol: frame[frame.index.asi8 <= now].to_numpy().tobytes() for symbol, frame in frames.items()}


@pytest.mark.parametrize("style", STYLES)
def test_an_altered_future_leaves_the_past_and_the_times_as_they_are(style):
    other = altered(MARKET, Spans.one(NOW, int(CLOSES[-1]), style), np.random.default_rng(1), whole=True)
    assert known(other, NOW) == known(MARKET, NOW)
    for own, its in zip(MARKET.instruments, other.instruments, strict=True):
        later = own.bars.close_ts > NOW
        for name in ("open", "high", "low", "close", "volume"):
            assert (getattr(own.bars, name)[later] != getattr(its.bars, name)[later]).mean() > 0.95
        assert np.array_equal(own.bars.open_ts, its.bars.open_ts)
        assert (own.funding.rate != its.funding.rate)[own.funding.ts > NOW].all()
        assert np.array_equal(own.funding.rate[own.funding.ts <= NOW], its.funding.rate[own.funding.ts <= NOW])
    assert (MARKET.series[0].values != other.series[0].values).any()


def test_a_turned_future_turns_every_move():
    other = altered(MARKET, Spans.one(NOW, int(CLOSES[-1]), "mirror"), np.random.default_rng(1))
    own, its = (np.diff(np.log(one.instruments[0].bars.close))[250:] for one in (MARKET, other))
    assert (np.sign(own) == -np.sign(its)).mean() > 0.9


def test_only_the_spans_are_other_markets():
    spans = Spans(after=CLOSES[[100, 200, 300]], until=CLOSES[[110, 210, 310]], style=np.array([0, 1, 2]))
    other = altered(MARKET, spans, np.random.default_rng(2))
    rows = np.flatnonzero(MARKET.instruments[0].bars.close != other.instruments[0].bars.close)
    assert rows.tolist() == [*range(101, 111), *range(201, 211), *range(301, 311)]


def test_what_is_restored_is_the_market_up_to_the_cut_and_the_other_one_after_it():
    spans = Spans(after=CLOSES[[100, 300]], until=CLOSES[[110, 310]], style=np.array([2, 2]))
    other = altered(MARKET, spans, np.random.default_rng(2))
    mixed = restored(MARKET, other, NOW)
    assert known(mixed, NOW) == known(MARKET, NOW)
    close = [one.instruments[0].bars.close for one in (MARKET, other, mixed)]
    assert np.array_equal(close[2][251:], close[1][251:])
    assert not np.array_equal(close[2][251:], close[0][251:])


def test_a_prefix_ends_at_the_cut_and_keeps_no_view_of_the_rest():
    cut = prefix(MARKET, NOW)
    for own, its in zip(MARKET.instruments, cut.instruments, strict=True):
        assert its.bars.close_ts[-1] == own.bars.close_ts[own.bars.close_ts <= NOW][-1]
        assert its.funding.ts[-1] <= NOW < its.funding.ts[-1] + 8 * HOUR
        for name in ("open_ts", "open", "high", "low", "close", "volume"):
            column = getattr(its.bars, name)
            assert column.base is None or len(column.base) == len(column)
    whole = market_frames(MARKET)
    for symbol, frame in market_frames(cut).items():
        assert frame.to_numpy().tobytes() == whole[symbol].iloc[: len(frame)].to_numpy().tobytes()


def test_rounding_in_the_last_bits_is_no_difference_and_a_decision_is():
    one = np.array([1.0, -1.0, 0.0, np.nan, 1e-3])
    assert unequal(one, one * (1 + 1e-15)).tolist() == [False] * 5
    assert unequal(one, np.array([1.0, 1.0, 1.0, 0.0, np.nan])).tolist() == [False, True, True, True, True]
