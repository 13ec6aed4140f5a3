"""Several questions about drift with one chance of crying wolf: it is kept, and what changed is found."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import binom

from wfbt.validation.monitoring import DRIFTED, SAME, UNKNOWN, Sheet, follow, judge, overall

LEVEL = 0.05
DAYS, NEW, HOURS = 300, 90, 8
"""Days of the reference, of the new data, and bars of a day."""


def market(seed, scale=1.0, persistence=0.5):
    """Bars of a GARCH(1, 1) market and a feature of AR(1), the new ones `scale` times as volatile."""
    rng = np.random.default_rng(seed)
    rows = (DAYS + NEW) * HOURS
    noise = rng.standard_normal(rows + 500)
    variance, returns = 1.0, np.empty(rows + 500)
    for t, one in enumerate(noise):
        returns[t] = np.sqrt(variance) * one
        variance = 0.1 + 0.1 * returns[t] ** 2 + 0.8 * variance
    returns = returns[500:]
    feature = lfilter([np.sqrt(1 - persistence**2)], [1, -persistence], rng.standard_normal(rows + 200))[200:]
    returns[DAYS * HOURS :] *= scale
    return returns, feature


def asked(returns, feature, seed, drop=0.0):
    """The market, a policy that follows the sign of the feature, and what it earned: sheets and the watch."""
    side = np.sign(feature)
    earned = np.append(0.0, side[:-1] * returns[1:]).reshape(-1, HOURS).sum(axis=1)
    earned[DAYS:] -= drop * earned[:DAYS].std()
    cut = DAYS * HOURS

    def sheet(name, **columns):
        table = np.column_stack(list(columns.values()))
        split = DAYS if name == "returns" else cut
        return Sheet(name=name, columns=tuple(columns), reference=table[:split], recent=table[split:], against="before")

    sheets = [
        sheet("market", move=returns, size=np.abs(returns)),
        sheet("actions", side=side, traded=np.abs(np.diff(side, prepend=side[0]))),
        sheet("returns", day=earned),
    ]
    *seeds, own = np.random.SeedSequence(seed).spawn(4)
    found = {one.name: judge(one, 0.25, LEVEL, child) for one, child in zip(sheets, seeds, strict=True)}
    falls = follow(earned[:DAYS], earned[DAYS:], 0.5, NEW, 0.25 * LEVEL, own)
    return found, falls, overall([*(one.verdict for one in found.values()), falls.verdict])


@pytest.mark.slow
def test_all_questions_together_cry_wolf_no_more_often_than_promised():
    verdicts = [asked(*market(seed), seed)[2] for seed in range(100)]
    assert UNKNOWN not in verdicts
    assert verdicts.count(DRIFTED) <= binom.ppf(0.999, 100, LEVEL)


@pytest.mark.slow
def test_twice_the_volatility_is_found_in_the_market_and_in_what_is_earned_but_not_in_what_is_done():
    found = [asked(*market(seed, scale=2.0), seed)[0] for seed in range(10)]
    assert all(one["market"].verdict == DRIFTED for one in found)
    assert sum(one["returns"].verdict == DRIFTED for one in found) >= 8
    assert all(one["actions"].verdict == SAME for one in found)


@pytest.mark.slow
def test_a_policy_that_acts_otherwise_is_found_in_what_it_does_and_the_market_is_cleared():
    found = []
    for seed in range(10):
        returns, feature = market(seed)
        feature[DAYS * HOURS :] += 1.0  # it is long five times out of six
        found.append(asked(returns, feature, seed)[0])
    assert all(one["actions"].verdict == DRIFTED for one in found)
    assert all(one["market"].verdict == SAME for one in found)


def test_a_flipped_mean_of_returns_sets_off_the_watch_about_as_late_as_it_says():
    rng = np.random.default_rng(1)
    reference = rng.normal(0.1, 1.0, 700)
    watch = follow(reference, reference[:1], 0.5, 365, 0.0125, np.random.SeedSequence(2)).design
    alarms = [watch.watch(rng.normal(-0.4, 1.0, 365)).alarm for _ in range(100)]
    assert None not in alarms
    assert np.mean(alarms) + 1 == pytest.approx(watch.delay, rel=0.3)


def test_the_watch_is_the_same_monitor_however_many_returns_there_are():
    rng = np.random.default_rng(3)
    reference, live = rng.normal(0, 1, 400), rng.normal(0, 1, 200)
    few, many = (follow(reference, live[:n], 0.2, 365, 0.01, np.random.SeedSequence(4)) for n in (20, 200))
    assert few.design == many.design
    assert few.highest <= many.highest
    longer = follow(reference, rng.normal(0, 1, 400), 0.2, 365, 0.01, np.random.SeedSequence(4))
    assert longer.design.horizon == 730


def test_a_reference_that_carries_no_watch_is_said_and_so_is_a_live_account_without_a_day():
    short = follow(np.zeros(59), np.ones(5), 0.2, 365, 0.01, np.random.SeedSequence(0))
    assert (short.design, short.verdict) == (None, UNKNOWN) and "at least 60" in short.why_not
    rare = follow(np.repeat([0.01, 0.0], [2, 98]), np.ones(5), 0.2, 365, 0.01, np.random.SeedSequence(0))
    assert (rare.design, rare.verdict) == (None, UNKNOWN) and "only 2 of 100 returns differ" in rare.why_not
    reference = np.random.default_rng(0).normal(0, 1, 200)
    none = follow(reference, np.zeros(0), 0.2, 30, 0.01, np.random.SeedSequence(0))
    assert (none.highest, none.verdict, none.why_not) == (None, UNKNOWN, "there is no live return yet")


def sheet_of(reference, recent):
    columns = tuple(f"x{k}" for k in range(reference.shape[1]))
    return Sheet(name="market", columns=columns, reference=reference, recent=recent, against="before")


def test_a_column_that_is_seldom_known_is_judged_on_its_own_rows_and_takes_no_row_from_the_others():
    rng = np.random.default_rng(5)
    reference, recent = rng.normal(0, 1, (600, 3)), rng.normal(0, 1, (300, 3))
    reference[::2, 1] = recent[::2, 1] = np.nan  # news on every second bar
    recent[:, 2] = np.nan  # a feed that has gone silent
    reference[7, 0] = np.nan  # a hole
    found = judge(sheet_of(reference, recent), 1.0, LEVEL, np.random.SeedSequence(1))
    assert (found.reference, found.recent) == (599, 300)
    by_column = {line.column: line for line in found.lines}
    assert by_column["x0"].verdict == by_column["x1"].verdict == SAME
    assert by_column["x2"].verdict == UNKNOWN and "is known on 0 new rows" in by_column["x2"].why_not
    assert found.verdict == SAME
    assert found.notes == ("1 rows are left out: not every column is known on them",)


def test_a_sheet_of_which_most_columns_cannot_be_judged_is_not_called_unchanged():
    rng = np.random.default_rng(8)
    reference, recent = rng.normal(0, 1, (600, 3)), rng.normal(0, 1, (300, 3))
    reference[:, 1:] = np.cumsum(reference[:, 1:], axis=0)
    found = judge(sheet_of(reference, recent), 1.0, LEVEL, np.random.SeedSequence(1))
    assert found.verdict == UNKNOWN and found.p > LEVEL
    assert found.why_not.startswith("2 of 3 columns could not be judged, the first because it leans on its own past")
    recent[:, 0] += 2.0
    assert judge(sheet_of(reference, recent), 1.0, LEVEL, np.random.SeedSequence(1)).verdict == DRIFTED


def test_what_is_asked_of_a_p_is_within_reach_of_its_bootstrap():
    rng = np.random.default_rng(6)
    reference, recent = rng.normal(0, 1, (1000, 8)), rng.normal(3, 1, (300, 8))
    reference[::2, 1:] = recent[::2, 1:] = np.nan  # eight parts, each at an eighth of a fifth of the level
    found = judge(sheet_of(reference, recent), 0.2, LEVEL, np.random.SeedSequence(1))
    assert {line.verdict for line in found.lines} == {DRIFTED}


def test_too_few_rows_are_said_and_nothing_is_guessed():
    rng = np.random.default_rng(7)
    found = judge(
        sheet_of(rng.normal(0, 1, (300, 2)), rng.normal(9, 1, (59, 2))), 1.0, LEVEL, np.random.SeedSequence(1)
    )
    assert (found.verdict, found.p, found.block) == (UNKNOWN, None, None)
    assert found.why_not == "is known on 59 new rows, and a distribution needs 60"
    assert all(line.value is None and line.p is None for line in found.lines)


def test_the_verdict_of_all_is_drift_first_then_what_could_not_be_judged():
    assert overall([SAME, UNKNOWN, DRIFTED]) == DRIFTED
    assert overall([SAME, UNKNOWN]) == UNKNOWN
    assert overall([SAME, SAME]) == SAME
