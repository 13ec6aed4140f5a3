"""Noise on what the policy sees, and none on what its orders pay."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wfbt
from wfbt.data.market import HOUR
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import lay_out
from wfbt.ledger.metrics import sharpe
from wfbt.policy.base import Columns
from wfbt.policy.frames import market_frames
from wfbt.validation.folds import over_time
from wfbt.validation.robustness import noise
from wfbt.validation.robustness.noise import CAP, deviations, misread, noisy
from wfbt.validation.robustness.replays import returns_of
from wfbt.validation.walk_forward import Study, walk_forward

ROWS = 24 * 500


def walk(rows=ROWS, seed=1, sigma=0.004):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, sigma, rows)))
    opens = np.r_[100.0, close[:-1]]
    return wfbt.Bars(
        symbol="X",
        period=HOUR,
        open_ts=np.arange(rows) * HOUR,
        open=opens,
        high=np.maximum(opens, close) * (1 + rng.uniform(0, sigma, rows)),
        low=np.minimum(opens, close) * (1 - rng.uniform(0, sigma, rows)),
        close=close,
        volume=np.full(rows, 1e6),
    )


@settings(max_examples=100, deadline=None)
@given(share=st.floats(1e-6, 0.1), sigma=st.floats(1e-5, 0.2), seed=st.integers(0, 2**32))
def test_a_noisy_bar_is_a_bar(share, sigma, seed):
    bars = noisy(walk(200, sigma=sigma), share, np.random.default_rng(seed))
    assert (bars.low > 0).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (np.maximum(bars.open, bars.close) <= bars.high).all()


def test_noise_is_as_large_as_asked_and_unbiased():
    bars = walk()
    drawn = np.log(noisy(bars, 0.001, np.random.default_rng(4)).close / bars.close)
    assert drawn.std() == pytest.approx(0.001, rel=0.03)
    assert abs(drawn.mean()) < 4 * 0.001 / np.sqrt(ROWS)


def test_a_quiet_market_gets_no_more_than_half_a_bars_volatility():
    bars = walk(sigma=0.0004)
    assert deviations(bars.close, 0.001).max() < 0.001
    assert np.median(deviations(bars.close, 0.001)) == pytest.approx(CAP * 0.0004, rel=0.1)
    assert not deviations(np.full(50, 7.0), 0.001).any()
    assert not deviations(np.array([7.0, 8.0]), 0.001).any()


def test_the_size_of_the_noise_is_known_when_the_bar_is():
    close = walk(1_000).close
    later = np.r_[close[:500], close[500:] * np.exp(np.random.default_rng(2).normal(0, 0.1, 500))]
    assert np.array_equal(deviations(close, 0.1)[:500], deviations(later, 0.1)[:500])


class Dips:
    """Buys what has just fallen and sells what has just risen."""

    name, kind, source_sha256, fitted, watches = "dips", "function", "", False, False

    def bind(self, params):
        return dict(params)

    def is_valid(self, params):
        return True

    def label_horizon(self, params):
        return 0

    def columns(self, frames, params, train=None):
        return {
            symbol: Columns(target=-np.sign(np.diff(frame["close"], prepend=frame["close"].iloc[0])))
            for symbol, frame in frames.items()
        }


@pytest.fixture(scope="module")
def dips():
    """A walk of it through a random walk, at no cost."""
    data = wfbt.Market(instruments=(wfbt.Instrument(bars=walk()),), digest="")
    setup = Setup(costs=wfbt.Costs.none(), latency=wfbt.Latency.none(), account=wfbt.Account(cash=1e5))
    deck = lay_out(data, setup, 3)
    study = Study(
        deck=deck,
        frames=market_frames(data),
        rule=Dips(),
        candidates=[{}],
        lowering=Lowering(data, deck, setup),
        rules=rules_of(setup, deck.horizon),
        objective="sharpe",
        jobs=1,
    )
    folds = over_time(deck.close_ts - HOUR, int(deck.close_ts[-1]), 2, 24 * 40 * HOUR)
    return study, walk_forward(study, folds)


def priced_wrong(number):
    """The noisy bars of a draw, as a market that opens where it closed: what a careless test would fill on."""
    bars = noisy(walk(), 0.001, noise.stream(3, noise.TAG, number))
    opens = np.r_[bars.open[0], bars.close[:-1]]
    return replace(bars, open=opens, high=np.maximum(bars.high, opens), low=np.minimum(bars.low, opens))


def test_noise_makes_no_sharpe_ratio_for_a_rule_that_buys_dips_on_a_random_walk(dips):
    """Filled on the noisy prices instead, the same decisions earn the noise at every fill."""
    study, walked = dips
    year = study.deck.calendar.periods_per_year
    error = np.sqrt(year / len(walked.ledger.returns_daily()))

    def earned(deck, intents):
        decided = replace(walked.decided, deck=deck)
        return float(sharpe(returns_of(decided, [lambda: intents], 1, lambda done: None), year)[0])

    decisions = [misread(study, walked, 0.001, 3, number) for number in range(8)]
    base = earned(study.deck, walked.decided.intents)
    assert abs(base) < 2 * error
    assert np.median([earned(study.deck, own) for own in decisions]) < base + 0.5 * error
    markets = [wfbt.Market(instruments=(wfbt.Instrument(bars=priced_wrong(number)),), digest="") for number in range(8)]
    wrong = [earned(lay_out(one, study.lowering.setup, 3), own) for one, own in zip(markets, decisions, strict=True)]
    assert np.median(wrong) > base + 3 * error


def test_a_draw_is_the_same_whoever_makes_it(dips):
    study, walked = dips
    once, again, other = (misread(study, walked, 0.001, 3, number) for number in (5, 5, 6))
    assert once.tobytes() == again.tobytes()
    assert once.tobytes() != other.tobytes()
