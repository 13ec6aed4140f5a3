import numpy as np
import pytest

from benchmarks.gate_calibration import CASES, clopper_pearson, picked, sample
from benchmarks.planted_study import FOLDS, TRAIN, looked, tries_of, write_market, write_strategy
from benchmarks.signal_rule import POSITION
from wfbt.compute import cores
from wfbt.data.planted import Planted, draw
from wfbt.gate.criteria import profile
from wfbt.gate.facts import Tries
from wfbt.gate.finished import read_finished
from wfbt.gate.verdict import Status
from wfbt.pipeline import run

SEED = 77
SHORT = Planted(sharpe=3.0, days=TRAIN + 240, signals=4)


def seed(number=0):
    return np.random.SeedSequence([SEED, number])


def study(folder, planted=SHORT, column=None, name="planted", number=0):
    where = write_market(folder, planted, seed(number))
    return write_strategy(folder, planted, name=name, seed=5, column=column or where)


def told(seen, folder):
    """Attempt and looks, by the ledger."""
    return tries_of(seen, folder / "reports", profile("default"))


def test_an_account_that_follows_the_planted_signal_earns_what_it_is_planted_to_earn(tmp_path):
    planted = Planted(sharpe=3.0, days=TRAIN + 1000, signals=4)
    seen = looked(study(tmp_path, planted), tmp_path / "reports")
    returns, signals, where = draw(planted, seed().spawn(2)[0])
    signal = signals[:, where]
    target = np.where(np.abs(signal) >= planted.level, np.sign(signal), 0.0)
    cost = planted.cost_bps * 1e-4 * np.abs(np.diff(target, prepend=0.0))
    expected = (target[:-1] * returns[1:] - cost[:-1])[TRAIN - 1 :]
    ours = seen.daily.returns / POSITION
    assert len(ours) == len(expected) == planted.days - TRAIN
    # The account holds units, whose share of equity moves with the price while the target stands.
    assert np.corrcoef(ours[1:], expected[1:])[0, 1] > 0.99
    assert seen.sharpe == pytest.approx(expected.mean() / expected.std(ddof=1) * np.sqrt(365), abs=0.3)


def test_trading_costs_what_the_plant_reckons_with(tmp_path):
    fills = looked(study(tmp_path), tmp_path / "reports").walk.ledger.fills_frame()
    paid = (fills["fee"] + fills["spread"] + fills["impact"]).sum() / (fills["qty"].abs() * fills["price"]).sum()
    assert paid * 1e4 == pytest.approx(SHORT.cost_bps, rel=0.02)


def test_the_walk_alone_reads_the_days_that_a_run_folder_is_judged_by(tmp_path):
    strategy = study(tmp_path)
    seen = looked(strategy, tmp_path / "reports")
    unmoved = [f"{name}=null" for name in ("robustness", "stress", "monte_carlo")]
    made = run(strategy, out=tmp_path / "reports", report=False, jobs=1, overrides=unmoved)
    read = read_finished(made.folder).daily
    for name in ("returns", "held", "fold"):
        assert np.array_equal(getattr(read, name), getattr(seen.daily, name))
    assert sorted(set(read.fold.tolist())) == list(range(1, FOLDS + 1))
    assert told(seen, tmp_path) == Tries(attempt=1, series=1), "the run took the same look"


def test_other_signals_on_the_same_bars_are_another_look_at_the_same_days(tmp_path):
    first = looked(study(tmp_path), tmp_path / "reports")
    write_market(tmp_path / "fresh", SHORT, seed(1))
    (tmp_path / "fresh" / "signals.parquet").replace(tmp_path / "signals.parquet")
    strategy = write_strategy(tmp_path, SHORT, name="planted", seed=5, column="s00")
    assert told(first, tmp_path) == told(first, tmp_path) == Tries(attempt=1, series=1), (
        "judged again is no new attempt"
    )
    again = looked(strategy, tmp_path / "reports")
    assert again.market.digest != first.market.digest
    assert told(again, tmp_path) == Tries(attempt=2, series=2, picked=True)


def test_the_best_of_several_is_judged_as_a_pick_among_all_of_them(tmp_path):
    planted = Planted(sharpe=0.0, days=TRAIN + 240, signals=5)
    found = picked(planted, seed(2), tmp_path, False)
    assert found.series == 5
    assert found.status is Status.INCONCLUSIVE, "the bound of a pick is biased, so it cannot fail by it"


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson():
    assert clopper_pearson(10, 100) == pytest.approx((0.0490, 0.1762), abs=5e-5)
    assert clopper_pearson(0, 400) == pytest.approx((0.0, 1 - 0.025 ** (1 / 400)))
    assert clopper_pearson(400, 400) == pytest.approx((0.025 ** (1 / 400), 1.0))


@pytest.mark.slow
def test_what_is_not_asked_of_a_strategy_without_evidence_changes_no_verdict():
    short, whole = (sample("null", 4, SEED, 1, whole) for whole in (False, True))
    assert [one.status for one in short] == [one.status for one in whole]
    assert Status.PASS not in {one.status for one in short}
    assert [one.sharpe for one in short] == [one.sharpe for one in whole]


@pytest.mark.slow
def test_worthless_strategies_pass_no_more_often_than_the_gate_promises():
    (case,) = [one for one in CASES if one.key == "null"]
    found = sample(case.key, 400, SEED, cores())
    low, _ = clopper_pearson(sum(one.passed for one in found), len(found))
    assert low <= case.high
