import dataclasses

import numpy as np
import pytest

from tests.registry.ledgers import MONDAY, look, market, walk
from wfbt.data.market import DAY, HOUR
from wfbt.errors import TrialsError
from wfbt.registry.looks import week_marks

WEEK = 7 * DAY


def test_how_well_and_in_which_run_it_did_is_no_part_of_a_look():
    one = look(1)
    for change in ({"sharpe": None}, {"n": 71}, {"run": "beef"}, {"candidates": 9}, {"weeks": frozenset()}):
        assert dataclasses.replace(one, **change).identity == one.identity
    for change in (
        {"family": "other"},
        {"candidate": "1"},
        {"code": "2"},
        {"data": "3"},
        {"start": 4},
        {"end": one.end + 1},
        {"kind": "in_folds"},
    ):
        assert dataclasses.replace(one, **change).identity != one.identity


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"family": "\x1b[31mred"}, "family must be 1 to 64 letters"),
        ({"candidate": "xyz"}, "candidate must be hex digits"),
        ({"weeks": frozenset({"a b"})}, "marks of hex digits"),
        ({"n": 1.0}, "n must be a whole number"),
        ({"candidates": -1}, "candidates must be a whole number"),
        ({"start": MONDAY + 71 * DAY}, "must end after it starts"),
        ({"sharpe": float("nan")}, "sharpe must be a number or None"),
        ({"kind": "peek"}, "kind must be"),
    ],
    ids=str,
)
def test_what_cannot_be_a_look_is_refused(change, rule):
    with pytest.raises(TrialsError, match=rule):
        look(1, **change)


def test_windows_of_the_same_data_share_days_only_where_they_overlap():
    alone = frozenset()
    early = look(1, weeks=alone)
    assert early.saw_days_of(look(2, weeks=alone, start=early.end - 1, end=early.end + DAY))
    assert not early.saw_days_of(look(2, weeks=alone, start=early.end, end=early.end + DAY))
    assert not early.saw_days_of(look(2, weeks=alone, data="9"))


def test_a_file_that_grew_shares_the_weeks_of_the_one_it_was():
    closes = walk(days=42)
    before = week_marks(market(closes[: 24 * 35]), MONDAY, MONDAY + 5 * WEEK)
    after = week_marks(market(closes), MONDAY + WEEK, MONDAY + 6 * WEEK)
    assert (len(before), len(after), len(before & after)) == (5, 5, 4)


def test_only_weeks_that_the_window_holds_from_monday_to_sunday_are_marked():
    prices = market(walk(days=42))
    whole = week_marks(prices, MONDAY + WEEK, MONDAY + 3 * WEEK)
    assert len(whole) == 2
    assert week_marks(prices, MONDAY + HOUR, MONDAY + 4 * WEEK - HOUR) == whole
    assert week_marks(prices, MONDAY + 3 * DAY, MONDAY + 9 * DAY) == frozenset()


def test_the_same_prices_are_known_under_another_name_and_as_longer_bars():
    closes = walk(days=21)
    hourly = week_marks(market(closes), MONDAY, MONDAY + 3 * WEEK)
    assert len(hourly) == 3
    assert week_marks(market(closes, symbol="ZZZ"), MONDAY, MONDAY + 3 * WEEK) == hourly
    assert week_marks(market(closes[3::4], period=4 * HOUR), MONDAY, MONDAY + 3 * WEEK) == hourly
    assert week_marks(market(closes[23::24], period=DAY), MONDAY, MONDAY + 3 * WEEK) == hourly


def test_one_close_changed_by_a_bit_is_another_week_and_no_other():
    closes = walk(days=21)
    altered = closes.copy()
    altered[24 * 10 - 1] = np.nextafter(altered[24 * 10 - 1], np.inf)
    left, right = (week_marks(market(one), MONDAY, MONDAY + 3 * WEEK) for one in (closes, altered))
    assert len(left & right) == 2


def test_the_same_closes_a_week_later_are_other_weeks():
    closes = walk(days=14)
    left = week_marks(market(closes), MONDAY, MONDAY + 2 * WEEK)
    assert left.isdisjoint(week_marks(market(closes, start=MONDAY + WEEK), MONDAY + WEEK, MONDAY + 3 * WEEK))


def test_a_week_of_one_price_is_not_marked():
    assert week_marks(market(np.full(24 * 14, 1.0)), MONDAY, MONDAY + 2 * WEEK) == frozenset()
