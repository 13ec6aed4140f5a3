"""A monitor that is seldom wrong where nothing changed, and finds what did."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from scipy.stats import binom, ks_2samp, wasserstein_distance

from wfbt.errors import ConfigError
from wfbt.validation.cusum import design_cusum, falls, run_length
from wfbt.validation.drift import STATISTICS, distances, drift, widened

LEVEL = 0.05
SERIES = 200


def autoregressive(phi, rows, seed):
    """(rows,) of unit variance, in its stationary law."""
    noise = np.random.default_rng(seed).standard_normal(rows + 200)
    return lfilter([np.sqrt(1 - phi**2)], [1, -phi], noise)[200:]


def judged(reference, recent, seed=0, resamples=149):
    columns = [f"x{k}" for k in range(reference.shape[1])]
    return drift(reference, recent, columns, np.random.SeedSequence(seed), resamples=resamples)


def rare(p):
    """An alarm; what was not judged raises none."""
    return p is not None and p <= LEVEL


def most(promised=LEVEL, of=SERIES):
    """False alarms that a kept promise exceeds once in a thousand."""
    return int(binom.ppf(0.999, of, promised))


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8])
def test_a_series_that_did_not_change_cries_wolf_no_more_often_than_promised(phi):
    alarms, naive = np.zeros(4), 0
    for seed in range(SERIES):
        x = autoregressive(phi, 500, seed)
        found = judged(x[:400, None], x[400:, None], seed)
        alarms += [rare(one.p) for one in found.distances] + [rare(found.p)]
        naive += ks_2samp(x[:400], x[400:]).pvalue <= LEVEL
    assert alarms.max() <= most()
    assert (naive > most()) == (phi > 0)  # what takes rows for independent breaks it


def test_many_columns_together_cry_wolf_no_more_often_than_promised():
    alarms = 0
    for seed in range(100):
        x = np.column_stack([autoregressive(0.3, 400, 10 * seed + k) for k in range(6)])
        alarms += judged(x[:300], x[300:], seed).p <= LEVEL
    assert alarms <= most(of=100)


@pytest.mark.parametrize(
    ("change", "statistic"),
    [(lambda x: x + 1.0, "wasserstein"), (lambda x: x + 1.0, "ks"), (lambda x: 2.5 * x, "psi")],
    ids=["level by Wasserstein", "level by KS", "size by PSI"],
)
def test_a_shift_is_found(change, statistic):
    found = []
    for seed in range(30):
        x = autoregressive(0.5, 600, seed)
        told = judged(x[:400, None], change(x[400:, None]), seed)
        found += [rare(one.p) for one in told.distances if one.statistic == statistic]
    assert np.mean(found) >= 0.9


def test_the_column_that_moved_is_the_one_that_is_named():
    x = np.column_stack([autoregressive(0.2, 700, seed) for seed in range(4)])
    x[500:, 2] += 1.5
    found = judged(x[:500], x[500:])
    least = min(found.distances, key=lambda one: one.adjusted)
    assert least.column == "x2" and least.adjusted == found.p == 1 / 150
    assert [one.statistic for one in found.distances[:3]] == list(STATISTICS)
    assert all(one.adjusted > LEVEL for one in found.distances if one.column != "x2")


@given(st.integers(0, 10**6), st.integers(5, 60), st.integers(5, 60), st.booleans())
def test_distances_are_those_of_scipy(seed, n, m, tied):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(n), 0.5 + rng.standard_normal(m)
    if tied:
        a, b = a.round(), b.round()
    _, ks, wasserstein = distances(a, b)
    assert ks == pytest.approx(ks_2samp(a, b, method="asymp").statistic, abs=1e-12)
    assert wasserstein == pytest.approx(wasserstein_distance(a, b), abs=1e-12)


def test_the_index_of_a_population_is_that_worked_by_hand():
    reference = np.arange(100.0)
    # All recent rows in the first of ten bins: shares 10.5/105 each before, 100.5/105 and nine times 0.5/105 after.
    before, first, other = 0.1, 100.5 / 105, 0.5 / 105
    by_hand = (first - before) * np.log(first / before) + 9 * (other - before) * np.log(other / before)
    assert distances(reference, np.zeros(100))[0] == pytest.approx(by_hand, rel=1e-12)
    assert distances(reference, reference) == (0.0, 0.0, 0.0)


def test_units_do_not_matter():
    x = np.column_stack([autoregressive(0.3, 400, seed) for seed in range(2)])
    plain, scaled = judged(x[:300], x[300:]), judged(1e-4 * x[:300] + 3, 1e-4 * x[300:] + 3)
    for one, other in zip(plain.distances, scaled.distances, strict=True):
        assert other.value == pytest.approx(one.value, rel=1e-6)
        assert other.p == pytest.approx(one.p, abs=0.02)  # a value that ties with a resample's may round past it


def test_the_same_seed_gives_the_same_numbers():
    x = autoregressive(0.3, 400, 1)[:, None]
    assert judged(x[:300], x[300:], seed=5) == judged(x[:300], x[300:], seed=5)


def test_a_recent_sample_longer_than_the_reference_is_judged_too():
    x = autoregressive(0.2, 500, 3)[:, None]
    assert judged(x[:200], x[200:]).p > LEVEL


def test_a_column_that_cannot_be_judged_has_a_reason_and_no_number():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(400), np.ones(400), np.cumsum(rng.standard_normal(400)), rng.standard_normal(400)])
    x[399, 1] = 2.0
    found = judged(x[:300], x[300:]).distances
    why = {one.column: one.why_not for one in found}
    assert why["x0"].endswith("no scale to judge a change by")
    assert why["x1"].endswith("it has changed since")
    assert "leans on its own past" in why["x2"]
    assert why["x3"] == ""
    assert all((one.p is None) == (one.value is None) == bool(one.why_not) for one in found)
    assert judged(x[:300, :1], x[300:, :1]).p is None


def test_a_column_of_two_values_that_come_equally_often_is_judged():
    side = np.random.default_rng(0).permutation(np.repeat([-1.0, 1.0], 200))
    recent = np.random.default_rng(1).choice([-1.0, 1.0], 100)
    assert judged(side[:, None], recent[:, None]).p > LEVEL


def test_a_handful_of_events_is_no_distribution():
    x = np.zeros((600, 1))
    x[[40, 150, 300, 450, 470, 510]] = 1.0  # four in the reference, each a change and a change back
    (index, *_) = judged(x[:460], x[460:]).distances
    assert index.p is None and index.why_not.startswith("changes 8 times in the reference, and at least 30")


def test_a_distance_whose_null_is_one_number_makes_no_alarm_of_the_others():
    # Nine rows in ten are the largest number, so all are in one bin and every draw has the same PSI.
    rng = np.random.default_rng(2)
    x = np.column_stack([np.minimum(rng.permutation(np.arange(600) % 20), 1.0), rng.standard_normal(600)])
    found = judged(x[:400], x[400:])
    index = found.distances[0]
    assert (index.statistic, index.p, index.adjusted) == ("psi", 1.0, 1.0)
    assert found.p > LEVEL
    x[400:, 0] += 1.0  # beyond every bin: the index is a number that its null never is
    assert judged(x[:400], x[400:]).distances[0].adjusted == 1 / 150


def test_too_few_rows_and_missing_numbers_are_said():
    x = autoregressive(0.0, 200, 0)[:, None]
    with pytest.raises(ConfigError, match="recent: 59 rows; a distribution needs at least 60"):
        judged(x[:100], x[100:159])
    x[3] = np.nan
    with pytest.raises(ConfigError, match="reference: row 3 of x0 is nan"):
        judged(x[:100], x[100:])


def test_fewer_blocks_widen_the_null_more():
    assert widened(10_000, 1) == pytest.approx(1.0, abs=1e-3)
    assert widened(400, 10) < widened(400, 20) < widened(400, 40)


def monitor(reference, shift=0.5, horizon=100, seed=0, resamples=199, **more):
    return design_cusum(reference, shift, horizon, np.random.SeedSequence(seed), resamples=resamples, **more)


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.0, 0.3])
def test_live_returns_that_did_not_change_raise_the_alarm_no_more_often_than_promised(phi):
    alarms = 0
    for seed in range(SERIES):
        x = 0.01 * autoregressive(phi, 600, 900 + seed)
        alarms += monitor(x[:500], seed=seed).watch(x[500:]).alarm is not None
    assert alarms <= most()


@pytest.mark.slow
def test_a_fall_of_the_mean_is_found_about_when_it_was_said_to_be():
    late, told = [], []
    for seed in range(60):
        x = 0.01 * autoregressive(0.0, 900, seed)
        one = monitor(x[:500], shift=0.7, horizon=400, seed=seed)
        late.append(one.watch(x[500:] - 0.7 * one.deviation).alarm + 1)
        told.append(one.delay)
    assert np.mean(late) == pytest.approx(np.mean(told), abs=3 * np.std(late, ddof=1) / np.sqrt(len(late)))


def test_a_larger_shift_is_found_sooner():
    x = autoregressive(0.0, 500, 0)
    small, large = monitor(x, shift=0.4), monitor(x, shift=1.0)
    assert large.delay < small.delay and large.detected >= small.detected


def test_the_delay_is_that_of_siegmund_where_returns_are_normal_and_independent():
    one = monitor(autoregressive(0.0, 20_000, 0), shift=1.0, horizon=200, resamples=499)
    assert one.delay == pytest.approx(run_length(one.threshold, 0.5, 1.0), rel=0.05)


@pytest.mark.parametrize(("shift", "published"), [(0.0, 938.2), (1.0, 10.34)])
def test_run_lengths_are_those_of_the_textbook(shift, published):
    # Montgomery, Introduction to Statistical Quality Control, on Siegmund's approximation: k = 1/2, h = 5.
    assert run_length(5.0, 0.5, shift) == pytest.approx(published, rel=5e-4)


def test_run_lengths_are_continuous_where_shift_and_allowance_meet():
    assert run_length(5.0, 0.5, 0.5) == pytest.approx(run_length(5.0, 0.5, 0.5 + 1e-5), rel=1e-3)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.floats(0.01, 2))
def test_sums_are_those_of_the_recursion(z, shift):
    by_hand, total = [], 0.0
    for one in z:
        total = max(0.0, total - one - shift / 2)
        by_hand.append(total)
    np.testing.assert_allclose(falls(np.array(z), shift), by_hand, atol=1e-10)


def test_a_sum_does_not_know_what_comes_later():
    x = autoregressive(0.0, 600, 0)
    one = monitor(x[:500])
    assert np.array_equal(one.watch(x[500:]).sums[:40], one.watch(x[500:540]).sums)


def test_what_a_monitor_cannot_promise_is_refused():
    x = autoregressive(0.0, 300, 0)
    with pytest.raises(ConfigError, match="101 where the monitor promises its false alarms for 100"):
        monitor(x).watch(np.zeros(101))
    with pytest.raises(ConfigError, match="at least 60"):
        monitor(x[:59])
    with pytest.raises(ConfigError, match="do not vary"):
        monitor(np.ones(300))
    with pytest.raises(ConfigError, match="lean on their own past"):
        monitor(np.cumsum(x))
    with pytest.raises(ConfigError, match="false_alarm: must be above 0 and below 1, was 1"):
        monitor(x, false_alarm=1.0)
    with pytest.raises(ConfigError, match="shift: must be above 0, was 0"):
        monitor(x, shift=0.0)
