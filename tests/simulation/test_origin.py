"""Where paths begin: warm, at the end of training, on the market's own clock."""

import numpy as np
import pytest

from tests.simulation.asking import DAY, asked_of, course_of, rule_file, study_file
from wfbt.policy.frames import market_frames
from wfbt.risk.market_paths import continued
from wfbt.risk.monte_carlo import Brownian
from wfbt.simulation.origin import between, clock_after, origin_of

HOUR = DAY // 24
MONDAY = 4 * DAY


def test_a_market_that_never_closes_goes_on_bar_by_bar():
    opens = np.arange(0, 30 * DAY, HOUR)
    found = clock_after(opens, 30 * DAY, HOUR, 90 * DAY)
    assert found[0] == 30 * DAY and len(found) == 90 * 24 and (np.diff(found) == HOUR).all()


def test_a_market_that_closes_at_weekends_closes_on_its_paths_too():
    every = MONDAY + np.arange(0, 9 * 7 * DAY, HOUR)
    opens = every[(every - MONDAY) // DAY % 7 < 5]
    begin = int(opens[-1]) + HOUR
    found = clock_after(opens, begin, HOUR, 365 * DAY)
    assert ((found - MONDAY) // DAY % 7 < 5).all()
    assert found[0] == begin + 2 * DAY and (np.diff(found) > 0).all()
    assert len(found) == pytest.approx(365 * 24 * 5 / 7, rel=0.01)


def test_less_than_a_week_of_training_shows_no_pattern():
    opens = np.r_[0, 2, 3, 4] * HOUR
    assert (np.diff(clock_after(opens, 5 * HOUR, HOUR, 30 * DAY)) == HOUR).all()


def test_paths_begin_where_the_last_fold_stops_learning(tmp_path):
    asked = asked_of(study_file(tmp_path, "plain"))
    origin = origin_of(asked, 30 * DAY)
    assert origin.history.close_ts[-1] == asked.train[-1] == origin.open_ts[0]
    bars = origin.before.instruments[0].bars
    assert bars.close_ts[-1] == asked.train[-1] and len(bars) == origin.warm
    assert set(origin.history.read) <= set(asked.train)


def test_a_slow_policy_is_warmed_until_it_says_what_a_longer_past_makes_it_say(tmp_path):
    quick = origin_of(asked_of(rule_file(tmp_path / "a", "hold")), 30 * DAY)
    slow = origin_of(asked_of(rule_file(tmp_path / "b", "slow")), 30 * DAY)
    assert quick.warm == 64
    assert 300 < slow.warm <= 1024


def test_what_a_path_lacks_is_said(tmp_path):
    origin = origin_of(asked_of(study_file(tmp_path, "plain")), 30 * DAY)
    assert any("no mark price" in note for note in origin.notes)
    assert origin.before.instruments[0].mark is None


def test_a_path_goes_on_from_the_real_bars_before_it(tmp_path):
    course = course_of(asked_of(study_file(tmp_path, "two")))
    origin, market = course.origin, course.asked.ran.market
    made = continued(
        Brownian.fit(origin.history), origin.shapes, origin.before, number=0, open_ts=origin.open_ts, seed=course.seed
    )
    for one, real in zip(made.instruments, market.instruments, strict=True):
        row = int(np.searchsorted(real.bars.close_ts, origin.history.close_ts[-1]))
        begin = row + 1 - origin.warm
        for name in ("open", "high", "low", "close", "volume"):
            own = getattr(one.bars, name)[: origin.warm]
            assert np.array_equal(own, getattr(real.bars, name)[begin : row + 1])
    frames, real = market_frames(made), market_frames(market)
    for symbol in frames:
        # A shorter past of coarser bars apart, a rule sees there what it saw.
        left = frames[symbol].iloc[: origin.warm]
        assert left["funding"].equals(real[symbol].loc[left.index, "funding"])


def test_a_stretch_of_a_market_knows_at_its_closes_what_was_known_then(tmp_path):
    market = asked_of(study_file(tmp_path, "plain")).ran.market
    bars = market.instruments[0].bars
    some = between(market, int(bars.open_ts[100]), int(bars.close_ts[300]))
    whole, part = market_frames(market)["AAA"], market_frames(some)["AAA"]
    assert len(part) == 201 and part.equals(whole.loc[part.index])


def test_a_symbol_that_ended_in_training_lives_on_along_paths_and_the_result_says_so(tmp_path):
    asked = asked_of(study_file(tmp_path, "two"))
    market = asked.ran.market
    ended = int(asked.train[len(asked.train) // 2])
    one = market.instruments[1]
    cut = between(market, int(one.bars.open_ts[0]), ended).instruments[1]
    object.__setattr__(market, "instruments", (market.instruments[0], cut))
    origin = origin_of(asked, 30 * DAY)
    assert origin.open_ts[0] == ended == origin.history.close_ts[-1]
    assert any("the bars of BBB end there" in note for note in origin.notes)
