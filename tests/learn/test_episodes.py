"""Where episodes begin and end, and which lane plays which."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.engine.stage import instrument, market
from tests.learn.stages import Choice
from wfbt.data.market import DAY, HOUR
from wfbt.engine.setup import Setup
from wfbt.errors import ConfigError
from wfbt.learn.episodes import Draws, Episodes, daily, hold_out, random_starts, sessions, tiles
from wfbt.learn.stage import Stage

ROWS = 24 * 6


def stage(unknown=0, start=DAY, owners=None, holes=()):
    """Hourly bars from a midnight; features of the first `unknown` rows and of `holes` are not known."""
    features = np.zeros((ROWS, 2), np.float32)
    features[:unknown, 1] = np.nan
    features[list(holes), 1] = np.nan
    data = market(instrument([100.0] * ROWS, symbol="A", start=start))
    return Stage.of(data, Setup(), features, Choice(), owners=owners)


def pairs(episodes):
    return list(zip(episodes.first.tolist(), episodes.last.tolist(), strict=True))


EVERY = (slice(0, ROWS),)


def test_a_day_is_decided_from_one_midnight_close_and_ends_with_the_next():
    made = stage()
    # Bar 23 closes at midnight; bar 0 at one in the morning.  The market's last bar is what the account waits on.
    assert pairs(daily(made, EVERY)) == [(0, 24), (23, 48), (47, 72), (71, 96), (95, 120), (119, 143)]
    close = made.deck.close_ts
    assert all(close[first] % DAY == 0 for first, _ in pairs(daily(made, EVERY))[1:])


def test_a_session_holds_the_closes_between_its_hours():
    made = stage()
    close = made.deck.close_ts
    for first, last in pairs(sessions(made, EVERY, 8.0, 16.0)):
        hours = close[first:last] % DAY / HOUR
        assert hours.tolist() == list(range(8, 17))
    night = pairs(sessions(made, (slice(12, 130),), 22.0, 4.0))
    assert [(close[first:last] % DAY // HOUR).tolist() for first, last in night] == [[22, 23, 0, 1, 2, 3, 4]] * 5


def test_tiles_meet_at_the_close_that_both_stand_at():
    assert pairs(tiles(stage(), (slice(10, 25), slice(40, 47)), 5)) == [
        (10, 16),
        (15, 21),
        (20, 25),
        (40, 46),
        (45, 47),
    ]


def test_an_episode_of_random_start_has_its_length_within_its_block():
    made = random_starts(stage(), (slice(10, 20), slice(40, 46), slice(60, 64)), 5)
    assert pairs(made) == [(k, k + 6) for k in (10, 11, 12, 13, 14, 40)]


def test_rows_whose_features_are_not_known_are_skipped_at_the_start():
    made = stage(unknown=30, holes=(72, 80))
    assert pairs(tiles(made, (slice(0, 100),), 20)) == [(30, 41), (40, 61), (60, 81), (81, 100)]
    assert pairs(daily(made, EVERY))[0] == (30, 48)
    assert {first for first, _ in pairs(random_starts(made, (slice(20, 90),), 5))} == {*range(30, 85)} - {72, 80}


@given(
    cuts=st.lists(st.integers(0, ROWS), min_size=2, max_size=8, unique=True),
    length=st.integers(1, 30),
    kind=st.sampled_from(["daily", "session", "tiles", "random"]),
    unknown=st.integers(0, 20),
)
@settings(max_examples=60, deadline=None)
def test_no_episode_leaves_the_training_rows_or_crosses_what_was_left_out(cuts, length, kind, unknown):
    edges = sorted(cuts)
    rows = tuple(slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False))
    made = stage(unknown)
    make = {
        "daily": lambda: daily(made, rows),
        "session": lambda: sessions(made, rows, 20.0, 3.0),
        "tiles": lambda: tiles(made, rows, length),
        "random": lambda: random_starts(made, rows, length),
    }
    try:
        episodes = make[kind]()
    except ConfigError:
        assume(False)  # none fits
    for first, last in pairs(episodes):
        assert any(block.start <= first and last <= block.stop for block in rows)
        assert last - first >= 2
        assert made.known[first].all()
        assert last <= ROWS - 1


def test_rows_beyond_the_market_are_refused():
    with pytest.raises(ConfigError, match="not within the market's 0 … 144"):
        daily(stage(), (slice(0, 500),))
    with pytest.raises(ConfigError, match="no episode fits"):
        random_starts(stage(), EVERY, 143)
    with pytest.raises(ConfigError, match=r"begin in 0\.\.24"):
        sessions(stage(), EVERY, 24.0, 3.0)


def test_what_is_held_out_is_the_end_and_an_embargo_before_it_is_dropped():
    train, held = hold_out((slice(0, 50), slice(60, 110)), 0.2, 5)
    assert (train, held) == ((slice(0, 50), slice(60, 85)), (slice(90, 110),))
    train, held = hold_out((slice(0, 50), slice(60, 110)), 0.6, 12)
    assert (train, held) == ((slice(0, 28),), (slice(40, 50), slice(60, 110)))
    with pytest.raises(ConfigError, match="cannot be split"):
        hold_out((slice(0, 10),), 0.5, 5)
    with pytest.raises(ConfigError, match=r"a share in 0\.\.1"):
        hold_out((slice(0, 10),), 1.0, 0)


def test_lanes_draw_the_same_episodes_of_the_same_seed_in_whatever_order_they_end():
    episodes = Episodes(first=np.arange(0, 100), last=np.arange(2, 102))
    one, other = Draws(episodes, 5, 4), Draws(episodes, 5, 4)
    every = np.arange(4)
    table = np.stack([one.next(every) for _ in range(6)])
    for _ in range(6):
        assert other.next(np.array([2]))[0] == table[other.played[2] - 1, 2]
    for _ in range(6):
        rest = np.array([3, 0, 1])
        assert other.next(rest).tolist() == table[other.played[0] - 1, rest].tolist()
    assert len(np.unique(table)) > 15  # different lanes, and different rounds, differ
    assert not np.array_equal(np.stack([Draws(episodes, 6, 4).next(every)]), table[:1])


def test_episodes_that_are_not_drawn_are_each_played_once_a_round():
    draws = Draws(Episodes(first=np.arange(5), last=np.arange(2, 7), drawn=False), 0, 2)
    every = np.arange(2)
    assert np.concatenate([draws.next(every) for _ in range(5)]).tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
