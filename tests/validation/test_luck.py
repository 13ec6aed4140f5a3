"""The section `overfitting` of result.json follows from the run it describes."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from scipy import stats

import wfbt
from tests.runs import hours, write_study
from tests.validation.test_sleeves import FADE, TREND, lay_data, strategy
from wfbt.validation.luck import ALONE, SELECTED, overfitting_section, side_by_side
from wfbt.validation.overfitting import deflated_sharpe, expected_max_sharpe, pbo, probabilistic_sharpe

EVERY = {*ALONE, *SELECTED, "min_training_years"}


def run(folder, bars=None, **sections):
    return wfbt.run(write_study(folder, bars, **sections), out=folder / "out", report=False)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """60 days out of sample in three folds, of six candidates, in a market that rises."""
    bars = hours()
    rise = np.exp(np.linspace(0.0, 3.0, len(bars["close"])))
    return run(
        tmp_path_factory.mktemp("study"),
        {name: values if name == "volume" else values * rise for name, values in bars.items()},
        exits=None,
    )


@pytest.fixture(scope="module")
def told(done):
    return done.to_dict()["overfitting"]


def check_complete(told, names=EVERY):
    """Every number stands beside its inputs, and a missing one beside its reason."""
    assert told.keys() >= set(names)
    assert told["inputs"].keys() == set(names)
    assert {name for name in names if told[name] is None} == set(told["reasons"])


def test_every_statistic_is_there_with_its_inputs_or_its_reason(told):
    check_complete(told)
    assert told.keys() >= {"psr", "dsr", "pbo", "spa_p", "min_track_record", "min_backtest_years"}
    assert told["trials"] == 1
    assert set(told["reasons"]) == {"min_backtest_years"}


def test_the_statistics_are_of_the_stitched_daily_returns(done, told):
    returns = done.ledger.returns_daily().to_numpy()
    n, sharpe = len(returns), returns.mean() / returns.std(ddof=1)
    shape = (stats.skew(returns), stats.kurtosis(returns, fisher=False))
    assert sharpe > 0
    assert told["psr"] == pytest.approx(probabilistic_sharpe(sharpe, 0.0, n, *shape), rel=1e-9)
    given = told["inputs"]["psr"]
    assert (given["n"], given["sharpe"]) == (n, pytest.approx(done.to_dict()["oos"]["sharpe"] / sqrt(365), rel=1e-12))
    assert (given["skew"], given["kurtosis"]) == (pytest.approx(shape[0]), pytest.approx(shape[1]))
    assert told["min_track_record"] == pytest.approx(
        1 + (1 - shape[0] * sharpe + (shape[1] - 1) / 4 * sharpe**2) * (1.6448536269514722 / sharpe) ** 2, rel=1e-9
    )


def test_looks_deflate_and_give_a_backtest_its_least_length(done, told):
    many = overfitting_section(done.walk, done.benchmark, 5, trials=40)
    given = many["inputs"]["dsr"]
    assert told["dsr"] == told["psr"] == many["psr"]
    assert many["dsr"] < many["psr"]
    assert given["variance"] == 1 / (given["n"] - 1)
    assert given["benchmark"] == expected_max_sharpe(40, given["variance"])
    assert many["dsr"] == deflated_sharpe(
        given["sharpe"], given["n"], given["skew"], given["kurtosis"], 40, given["variance"]
    )
    annual = given["sharpe"] * sqrt(365)
    assert many["min_backtest_years"] == pytest.approx((expected_max_sharpe(40) / annual) ** 2)
    assert "min_backtest_years" not in many["reasons"]


def test_candidates_are_compared_on_their_own_days_out_of_sample(done, told):
    returns, held = side_by_side(done.walk, done.benchmark)
    assert returns.shape == (60, 6)
    for c in range(6):
        parts = np.concatenate([one.trial.test_returns[c] for one in done.walk.folds])
        assert np.array_equal(returns[:, c], parts)
    np.testing.assert_allclose(held, done.benchmark.returns_daily(), rtol=0, atol=1e-12)
    assert told["pbo"] == pbo(returns, 6)
    assert told["inputs"]["pbo"] | {"splits": 6, "choices": 20, "candidates": 6, "n": 60} == told["inputs"]["pbo"]
    assert 0 < told["spa_p"] <= 1
    assert told["inputs"]["spa_p_buy_hold"]["candidates"] == 6


def test_the_same_run_says_the_same_and_another_seed_resamples_anew(done, told):
    again = overfitting_section(done.walk, done.benchmark, 5)
    assert again == told
    other = overfitting_section(done.walk, done.benchmark, 6)
    assert other["pbo"] == told["pbo"]
    assert (other["spa_p"], other["spa_p_buy_hold"]) != (told["spa_p"], told["spa_p_buy_hold"])


def test_folds_that_test_the_same_rows_give_candidates_no_one_history(done):
    twice = replace(done.walk, folds=(*done.walk.folds, done.walk.folds[0]))
    found = overfitting_section(twice, done.benchmark, 5)
    check_complete(found)
    assert all("the same rows several times" in found["reasons"][name] for name in SELECTED)


def test_one_candidate_has_no_selection_to_judge(tmp_path):
    one = run(tmp_path, policy={"search": {}, "params": {"fast": 8, "slow": 24}}).to_dict()["overfitting"]
    check_complete(one)
    assert all("there was nothing to choose" in one["reasons"][name] for name in SELECTED)
    assert "nothing was searched" in one["reasons"]["min_training_years"]


def test_below_thirty_days_there_is_no_statistic_of_luck(tmp_path):
    short = run(tmp_path, folds={"count": 1, "train": "95d"}).to_dict()["overfitting"]
    check_complete(short)
    assert all(
        "days of returns; a statistic needs at least 30" in short["reasons"][name] for name in (*ALONE, *SELECTED)
    )
    assert short["min_training_years"] > 0


def test_below_sixty_days_there_is_no_cross_validation(tmp_path):
    short = run(tmp_path, folds={"count": 1, "train": "80d"}).to_dict()["overfitting"]
    check_complete(short)
    assert "cross-validation needs 6 blocks of 10" in short["reasons"]["pbo"]
    assert short["spa_p"] is not None


def test_a_loser_gets_no_minimum_length(tmp_path):
    bars = hours()
    fall = np.exp(-np.linspace(0.0, 1.5, len(bars["close"])))
    falling = {name: values if name == "volume" else values * fall for name, values in bars.items()}
    lost = run(tmp_path, falling, policy={"rule": "buy_hold", "search": {}, "params": {}}).to_dict()["overfitting"]
    check_complete(lost)
    assert lost["psr"] < 0.5
    for name in ("min_track_record", "min_backtest_years"):
        assert "not above 0" in lost["reasons"][name]


def test_an_account_that_never_trades_has_nothing_to_judge(tmp_path):
    (tmp_path / "sleep.py").write_text("import numpy as np\n\ndef sleep(bars, n=1):\n    return np.zeros(len(bars))\n")
    idle = run(tmp_path, policy={"rule": "sleep.py:sleep", "search": {"n": [1, 2]}}).to_dict()["overfitting"]
    check_complete(idle)
    assert "do not vary" in idle["reasons"]["psr"]
    assert all("did the same on every day" in idle["reasons"][name] for name in SELECTED)
    assert idle["fold_concentration"]["reasons"]["herfindahl"] == "no fold made money"


def test_of_sleeves_each_search_is_judged_by_itself(tmp_path):
    members = {"fade": FADE, "trend": TREND}
    path = strategy(lay_data(tmp_path), members)
    result = wfbt.run(path, out=tmp_path / "out", report=False).to_dict()["overfitting"]
    check_complete(result)
    assert all("its sleeves have" in result["reasons"][name] for name in SELECTED)
    assert set(result["sleeves"]) == {"fade", "trend"}
    for own in result["sleeves"].values():
        check_complete(own, SELECTED)
    assert result["sleeves"]["trend"]["inputs"]["pbo"]["candidates"] == 4
    assert result["inputs"]["min_training_years"]["candidates"] == 4
