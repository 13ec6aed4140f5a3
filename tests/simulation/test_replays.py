"""Policies along simulated markets: what must come out where the answer is known."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from tests.simulation.asking import KINDS, asked_of, course_of, rule_file, study_file
from wfbt.risk.market_paths import continued
from wfbt.risk.monte_carlo import Brownian, LabelledHistory, log_returns
from wfbt.risk.ruin import gbm_ruin
from wfbt.simulation import replays
from wfbt.simulation.replays import replayed
from wfbt.validation.walk_forward import training_times


@pytest.fixture(scope="module")
def holding(tmp_path_factory):
    return course_of(asked_of(rule_file(tmp_path_factory.mktemp("hold"), "hold")), ruin=0.2)


@pytest.fixture(scope="module")
def crossing(tmp_path_factory):
    return course_of(asked_of(study_file(tmp_path_factory.mktemp("cross"), "plain")))


def brownian(course):
    return Brownian.fit(course.origin.history)


def same(one, other, count=None):
    for name in ("depth", "liquidated", "trips"):
        assert np.array_equal(getattr(one, name)[:count], getattr(other, name)[:count])
    for mine, its in ((one.account, other.account), (one.hold, other.hold)):
        assert np.array_equal(mine.fan[:count], its.fan[:count])
        for name in ("final", "depth", "recovery", "ruined_at", "mean", "deviation"):
            mine_, its_ = getattr(mine.outcomes, name), getattr(its.outcomes, name)
            assert np.array_equal(mine_[:count], its_[:count], equal_nan=True)


def test_who_always_holds_everything_has_the_markets_own_path(holding):
    model = brownian(holding)
    found = replayed(holding, model, 12, 1)
    origin = holding.origin
    for number in range(12):
        market = continued(
            model, origin.shapes, origin.before, number=number, open_ts=origin.open_ts, seed=holding.seed
        )
        bars = market.instruments[0].bars
        # Decided at the first close of the path and filled at the open after it.
        expected = bars.close[-1] / bars.open[origin.warm + 1]
        assert found.account.outcomes.final[number] == pytest.approx(expected, rel=1e-9)
    assert not found.liquidated.any()


def test_buy_and_hold_beside_it_grows_as_the_returns_of_the_model_do(holding):
    model = brownian(holding)
    found = replayed(holding, model, 20, 1).hold
    returns = log_returns(model, first=0, paths=20, steps=len(holding.origin.open_ts), seed=holding.seed)[:, :, 0]
    np.testing.assert_allclose(found.outcomes.final, np.exp(returns.sum(axis=1)), rtol=1e-9)
    np.testing.assert_allclose(found.fan[:, -1], found.outcomes.final, rtol=1e-9)


def test_who_never_trades_keeps_everything_and_has_no_sharpe_ratio(tmp_path):
    course = course_of(asked_of(rule_file(tmp_path, "idle")))
    found = replayed(course, brownian(course), 40, 1)
    outcomes = found.account.outcomes
    assert (outcomes.final == 1.0).all() and (outcomes.depth == 0.0).all() and (found.depth == 0.0).all()
    assert np.isnan(outcomes.sharpe).all() and not outcomes.ruined.any() and not found.trips.any()


@pytest.mark.slow
def test_the_ruin_of_buy_and_hold_at_level_1_is_that_of_the_closed_form_seen_once_a_day(holding):
    model, count = brownian(holding), 1500
    found = replayed(holding, model, count, 1).hold.outcomes
    steps, days = len(holding.origin.open_ts), len(holding.day_ends)
    mean, variance = float(model.mean[0]), float(model.covariance[0, 0])
    exact = gbm_ruin((mean + variance / 2) * steps, np.sqrt(variance * steps), 0.2, 1.0, days)
    assert 0.05 < exact < 0.95
    assert abs(found.ruined.mean() - exact) < 4 * np.sqrt(exact * (1 - exact) / count)


@pytest.mark.parametrize("kind", ["plain", "sleeves", "learner"])
def test_a_path_is_the_same_on_any_number_of_threads_in_any_batch_and_among_more(kind, tmp_path, monkeypatch):
    course = course_of(asked_of(study_file(tmp_path, kind)))
    model = brownian(course)
    base = replayed(course, model, 10, 1)
    same(base, replayed(course, model, 10, 2))
    same(base, replayed(course, model, 14, 1), 10)
    monkeypatch.setattr(replays, "BATCH", 3)
    same(base, replayed(course, model, 10, 2))


def test_another_seed_is_another_market(crossing):
    model = brownian(crossing)
    other = replace(crossing, seed=np.random.SeedSequence(2))
    one, two = replayed(crossing, model, 5, 1), replayed(other, model, 5, 1)
    assert not np.intersect1d(one.account.outcomes.final, two.account.outcomes.final).size


def test_memory_grows_by_what_is_kept_of_a_path_and_not_by_the_path(crossing):
    model = brownian(crossing)
    replayed(crossing, model, 8, 1)

    def peak(count):
        tracemalloc.start()
        replayed(crossing, model, count, 1)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    path = 6 * 8 * len(crossing.origin.open_ts)
    assert peak(160) - peak(64) < 96 * path / 10


def test_a_fitted_rule_learns_once_and_decides_by_that_on_every_path(tmp_path):
    asked = asked_of(rule_file(tmp_path, "Counted"))
    course = course_of(asked)
    rule = asked.ran.study.rule
    learnt = asked.ran.walk.folds[-1]
    before = type_of(asked).fits
    replayed(course, brownian(course), 6, 2)
    assert type_of(asked).fits == before and rule.kind == "function"
    train = training_times(asked.ran.study.deck, learnt.fold)
    bars = asked.ran.market.instruments[0].bars
    level = bars.close[np.isin(bars.close_ts, train)].mean()
    frame = asked.ran.study.frames["AAA"]
    said = rule.columns({"AAA": frame}, {})["AAA"].target
    assert np.array_equal(said, (frame["close"] > level).to_numpy(np.float64))


def type_of(asked):
    """The user's class behind a settled rule."""
    return type(asked.ran.study.rule.call.__closure__[0].cell_contents)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_strategy_is_replayed_through_every_path(kind, tmp_path):
    course = course_of(asked_of(study_file(tmp_path, kind)))
    for model in (brownian(course), LabelledHistory.fit(course.origin.history)):
        found = replayed(course, model, 3, 1)
        assert np.isfinite(found.account.outcomes.final).all()
        assert (found.depth >= found.account.outcomes.depth - 1e-12).all()
        assert found.trips.sum() > 0


def test_costs_take_their_share_on_every_path(tmp_path):
    free = course_of(asked_of(rule_file(tmp_path / "free", "slow")))
    dear = course_of(asked_of(rule_file(tmp_path / "dear", "slow", costs={"taker_bps": 20})))
    model = brownian(free)
    one, two = replayed(free, model, 12, 1), replayed(dear, model, 12, 1)
    assert (one.account.outcomes.final > two.account.outcomes.final).all()
    assert np.array_equal(one.trips, two.trips)
