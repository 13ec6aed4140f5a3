"""Markets that never were: sound bars, the model's own closes, and a policy that can be replayed through them."""

import numpy as np
import pytest

import wfbt
from tests.risk.histories import HOUR, SEED
from wfbt.data.market import Bars, Funding, Instrument, Market, Series
from wfbt.data.trades import Trades
from wfbt.errors import ConfigError
from wfbt.risk.history import labels_at_open
from wfbt.risk.market_paths import Shapes, market_path
from wfbt.risk.monte_carlo import Brownian, History, LabelledHistory, log_returns

ROWS, FUNDED = 600, 8 * HOUR
CLOCK = HOUR * np.arange(5000, 5200)


def instrument(symbol, number, funded):
    rng = np.random.default_rng(number)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, ROWS)))
    opens = np.r_[50.0, close[:-1]] * np.exp(rng.normal(0, 0.001, ROWS))
    high = np.maximum(opens, close) * np.exp(rng.exponential(0.004, ROWS))
    low = np.minimum(opens, close) * np.exp(-rng.exponential(0.004, ROWS))
    bars = Bars(
        symbol=symbol, period=HOUR, open_ts=HOUR * np.arange(ROWS), open=opens, high=high, low=low, close=close,
        volume=rng.exponential(1000.0, ROWS),
    )  # fmt: skip
    ts = np.arange(0, ROWS * HOUR, FUNDED) + 0
    rate = rng.normal(1e-4, 1e-4, len(ts))
    funding = Funding(ts=ts, rate=rate, mark=np.full(len(ts), np.nan)) if funded else None
    trades = Trades(ts=bars.open_ts, price=opens, qty=np.ones(ROWS), side=np.ones(ROWS))
    return Instrument(bars=bars, funding=funding, mark=bars, trades=trades)


@pytest.fixture(scope="module")
def market():
    tone = np.random.default_rng(9).normal(size=ROWS // 20)
    news = Series(
        name="news", columns=("tone",), available_ts=20 * HOUR * np.arange(1, ROWS // 20 + 1), values=tone[:, None]
    )
    return Market(instruments=(instrument("X", 0, True), instrument("Y", 1, False)), digest="", series=(news,))


@pytest.fixture(scope="module")
def history(market):
    return History.of(tuple(one.bars for one in market.instruments))


@pytest.fixture(scope="module")
def shapes(market, history):
    return Shapes.of(market, history)


@pytest.fixture(scope="module", params=["brownian", "labelled"])
def model(request, market, history):
    if request.param == "brownian":
        return Brownian.fit(history)
    labels = labels_at_open(market.series[0], "tone", history.close_ts - HOUR, np.array([0.0]))
    return LabelledHistory.fit(history, labels, block=6)


def path(model, shapes, number=3, seed=SEED):
    return market_path(model, shapes, number=number, open_ts=CLOCK, seed=seed)


def test_closes_go_on_from_the_last_by_the_returns_of_the_model(model, shapes, market):
    found = path(model, shapes)
    returns = log_returns(model, first=3, paths=1, steps=200, seed=SEED)[0]
    for a, one in enumerate(found.instruments):
        before = market.instruments[a].bars.close[-1]
        np.testing.assert_allclose(one.bars.close, before * np.exp(np.cumsum(returns[:, a])), rtol=1e-12)
        assert one.mark is None and one.contract == market.instruments[a].contract
        assert one.trades is None, "what was traded in another history says nothing of these bars"


def test_a_bar_has_the_shape_of_one_row_for_all_symbols(model, shapes, market):
    found = path(model, shapes)
    rows = []
    for a, one in enumerate(found.instruments):
        volume = shapes.volume[:, a]
        row = np.array([np.flatnonzero(volume == each)[0] for each in one.bars.volume])
        top = np.maximum(one.bars.open, one.bars.close)
        np.testing.assert_allclose(one.bars.high / top, shapes.above[row, a], rtol=1e-12)
        bottom = np.minimum(one.bars.open, one.bars.close)
        np.testing.assert_allclose(one.bars.low / bottom, shapes.below[row, a], rtol=1e-12)
        before = np.r_[market.instruments[a].bars.close[-1], one.bars.close[:-1]]
        np.testing.assert_allclose(one.bars.open / before, shapes.gap[row, a], rtol=1e-12)
        rows.append(row)
    assert np.array_equal(rows[0], rows[1])


def test_at_the_fifth_level_a_return_comes_with_its_own_bar_and_its_own_news(market, history, shapes):
    model = LabelledHistory.fit(history, block=6)
    found = path(model, shapes)
    key = SEED.generate_state(2, np.uint64)
    key.flags.writeable = False
    rows = model.rows(1, 200, 3, key)[0]
    assert np.array_equal(found.instruments[0].bars.volume, shapes.volume[rows, 0])
    news = found.series[0]
    assert np.array_equal(news.available_ts, CLOCK)
    opens = history.close_ts[rows] - HOUR
    assert np.array_equal(news.values, market.series[0].known_at(opens), equal_nan=True)


def test_a_path_is_one_market_and_another_is_another(model, shapes):
    assert path(model, shapes).digest == path(model, shapes).digest
    others = {path(model, shapes, number).digest for number in range(5)}
    assert len(others) == 5
    assert path(model, shapes, seed=np.random.SeedSequence(1)).digest not in others


def test_funding_settles_on_its_own_grid_at_rates_that_were_paid(model, shapes, market):
    found = path(model, shapes)
    assert found.instruments[1].funding is None
    funding = found.instruments[0].funding
    assert funding.ts.tolist() == [ts for ts in range(5000 * HOUR, 5200 * HOUR, HOUR) if ts % FUNDED == 0]
    assert set(funding.rate) <= set(market.instruments[0].funding.rate)


def test_a_policy_can_be_replayed_through_it(model, shapes):
    found = path(model, shapes)
    ledger = wfbt.backtest(found, np.full((200, 2), 0.5), costs=wfbt.Costs(maker_bps=1, taker_bps=5))
    assert len(ledger.fills) >= 2
    equity = np.asarray(ledger.equity)
    assert np.isfinite(equity).all() and (equity > 0).all()


def test_what_lies_outside_training_shapes_nothing(market):
    """Bars after the last training row may be anything."""
    bars = market.instruments[0].bars
    train = bars.close_ts[:300]
    wild = {name: np.r_[getattr(bars, name)[:300], getattr(bars, name)[300:] * 7] for name in ("open", "high", "low")}
    wild["close"] = np.r_[bars.close[:300], bars.close[300:] * 7]
    other = Bars(symbol="X", period=HOUR, open_ts=bars.open_ts, volume=bars.volume[::1].copy(), **wild)
    digests = set()
    for each in (bars, other):
        alone = Market(instruments=(Instrument(bars=each),), digest="")
        past = History.of((each,), train)
        digests.add(path(Brownian.fit(past), Shapes.of(alone, past)).digest)
    assert len(digests) == 1


def test_a_model_of_other_symbols_is_refused(shapes):
    other = Brownian(symbols=("Z",), mean=[0.0], covariance=[[1e-4]])
    with pytest.raises(ConfigError, match="the model is of"):
        path(other, shapes)
