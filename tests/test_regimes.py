"""Regimes from the strategy file to the run folder: what they split, what they show, what they decide."""

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import wfbt
from tests.data.parquet import START, bars_table, write
from tests.runs import DAYS, hours, numbers, write_strategy, write_study
from wfbt.assembly import read_market
from wfbt.config.load import load_strategy
from wfbt.data.market import HOUR
from wfbt.errors import ConfigError
from wfbt.features.learners import training_frames
from wfbt.features.market_regimes import RegimeLearner, RegimePlan, clock_of
from wfbt.policy.frames import market_frames

OWN = '''
import numpy as np
import pandas as pd


def calm_only(bars):
    """Long in calm markets."""
    return (bars["regime"] == 0).astype(float)


def daily(bars, size=0.5):
    """Another side every day."""
    return np.where(np.arange(len(bars)) // 24 % 2 == 0, size, -size)
'''
FREE = {
    "costs": {"maker_bps": 0, "taker_bps": 0, "half_spread_bps": 0, "impact": None, "participation": None},
    "exits": None,
    "limits": {"cooldown": None},
}


def turning(seed=3, days=DAYS, length=120):
    """Bars whose volatility is small, middling and large by turns of `length` hours."""
    bars = hours(days, seed)
    size = np.array([0.3, 1.0, 3.0])[np.arange(24 * days) // length % 3]
    step = np.diff(np.log(bars["close"]), prepend=np.log(100.0)) * size
    close = 100 * np.exp(np.cumsum(step))
    open_ = np.r_[100.0, close[:-1]]
    high, low = np.maximum(open_, close) * 1.001, np.minimum(open_, close) * 0.999
    return bars | {"open": open_, "high": high, "low": low, "close": close}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    (folder / "own.py").write_text(OWN)
    write_study(folder, turning())
    return folder


def run(folder, out, name="small.yaml", jobs=1, report=False, **sections):
    return wfbt.run(write_strategy(folder, name, **sections), out=out, jobs=jobs, report=report)


@pytest.fixture(scope="module")
def plain(folder, tmp_path_factory):
    return run(folder, tmp_path_factory.mktemp("out"))


def test_the_regimes_share_out_the_days_the_return_and_the_round_trips(plain):
    told = plain.to_dict()["regimes"]
    rows = told["by_regime"]
    assert list(rows) == told["names"] == ["calm", "normal", "turbulent"]
    assert told["unknown_days"] == 0
    assert sum(row["days"] for row in rows.values()) == told["days"] == plain.to_dict()["oos"]["days"]
    assert sum(row["trades"] for row in rows.values()) == plain.to_dict()["oos"]["trades"]
    for key, whole in (("total_return", plain.ledger), ("benchmark_return", plain.benchmark)):
        grown = np.prod([1 + row[key] for row in rows.values()])
        assert grown == pytest.approx(1 + whole.metrics()["total_return"], rel=1e-12)
    days = [(pd.Timestamp(one["last"]) - pd.Timestamp(one["first"])).days + 1 for one in told["stretches"]]
    assert sum(days) == told["days"]
    assert all(one["regime"] != after["regime"] for one, after in pairwise(told["stretches"]))


def test_a_regime_of_fewer_than_thirty_days_has_no_statistic_and_says_so(plain):
    for row in plain.to_dict()["regimes"]["by_regime"].values():
        assert 0 < row["days"] < 30
        assert row["sharpe"] is row["sharpe_error"] is None
        assert row["reasons"]["sharpe"] == f"{row['days']} days in this regime; a statistic needs at least 30"


def test_the_states_of_each_fold_are_those_of_the_market(plain):
    folds = plain.to_dict()["regimes"]["folds"]
    assert [fold["index"] for fold in folds] == [1, 2, 3]
    for fold in folds:
        annual = [fold["states"][name]["volatility"] for name in ("calm", "normal", "turbulent")]
        np.testing.assert_allclose(annual, np.array([0.3, 1.0, 3.0]) * 0.008 * np.sqrt(24 * 365), rtol=0.35)
        assert sum(state["share"] for state in fold["states"].values()) == pytest.approx(1.0)
        assert fold["notes"] == []


def by_day(result):
    """Regime of each day out of sample."""
    return {
        day: one["regime"]
        for one in result.to_dict()["regimes"]["stretches"]
        for day in pd.date_range(one["first"], one["last"])
    }


def test_a_day_belongs_to_the_regime_at_the_close_of_the_day_before(plain):
    """Fitted once more by hand, on each fold's training rows."""
    frames = market_frames(read_market(plain.config))
    clock, seen = clock_of(frames), by_day(plain)
    for fold in plain.folds:
        (train,), (test,) = fold.fold.train, fold.fold.test
        learner = RegimeLearner(plan=RegimePlan(seed=5), clock=clock)
        own = learner.fit(training_frames(frames, clock[train])).columns(frames)["AAA"]["regime"]
        told = pd.Series(own, frames["AAA"].index)
        for day in pd.date_range(
            frames["AAA"].index[test.start].ceil("D"), frames["AAA"].index[test.stop - 1].floor("D")
        ):
            if day.tz_localize(None) in seen and day > frames["AAA"].index[test.start]:
                name = ("calm", "normal", "turbulent")[int(told[day])]
                assert seen[day.tz_localize(None)] == name


def test_what_happens_later_changes_no_days_regime(plain, folder, tmp_path):
    cut = 24 * 100
    bars = turning()
    factor = np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.05, 24 * DAYS - cut)))
    for name in ("open", "high", "low", "close"):
        bars[name][cut:] = bars[name][cut:] * factor
    write_study(tmp_path, bars)
    (tmp_path / "own.py").write_text(OWN)
    other = by_day(run(tmp_path, tmp_path / "out"))
    day = pd.Timestamp(START + cut * HOUR)
    rotated = [rotating(one, tmp_path / "out", **FREE).ledger.trades() for one in (folder, tmp_path)]
    own, others = (trips[trips["exit_ts"] < day.tz_localize("UTC")] for trips in rotated)
    assert len(own) > 10
    pd.testing.assert_frame_equal(own, others)
    before = {one: name for one, name in by_day(plain).items() if one <= day}
    assert len(before) > 30
    assert {one: name for one, name in other.items() if one <= day} == before


def test_regimes_that_nobody_sees_decide_nothing_and_may_be_left_out(plain, folder, tmp_path):
    without = run(folder, tmp_path, regimes=None)
    assert without.run_id == plain.run_id  # the section has a default
    path = write_strategy(folder, "off.yaml")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"regimes": None}))
    off = wfbt.run(path, out=tmp_path, report=False)
    told = off.to_dict()
    assert off.run_id != plain.run_id
    assert told["regimes"] is None
    assert told["reasons"]["regimes"] == "the strategy's regimes section is null"
    assert told["oos"] == plain.to_dict()["oos"]
    assert numbers(off.folder)["fills.parquet"] == numbers(plain.folder)["fills.parquet"]
    assert plain.to_dict()["folds"][0]["fits"] == []


def test_a_rule_may_see_the_regime_and_the_rows_of_the_fit_are_kept(folder, tmp_path):
    result = run(
        folder,
        tmp_path,
        regimes={"show": True},
        policy={"rule": "own.py:calm_only", "search": {}},
        **FREE,
    )
    (fit,) = result.to_dict()["folds"][0]["fits"]
    assert (fit["what"], fit["symbol"], fit["notes"]) == ("regimes", "AAA", [])
    assert fit["last"] == result.to_dict()["folds"][0]["train_end"]
    turns = np.arange(24 * DAYS) // 120 % 3
    held = result.ledger.position[:, 0] > 0
    truth = turns[-len(held) :]
    assert held[truth == 0].mean() > 0.7
    assert held[truth == 2].mean() < 0.1


ROTATION = {
    "rotate": {
        "calm": {"rule": "sma_cross", "search": {"fast": [4, 8], "slow": [24]}},
        "normal": {"rule": "own.py:daily", "search": {"size": [0.2, 0.4]}},
        "turbulent": None,
    }
}


def rotating(folder, out, policy=ROTATION, name="rotation.yaml", jobs=1, **sections):
    path = write_strategy(folder, name, policy=None, **sections)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"policy": policy}))
    return wfbt.run(path, out=out, report=False, jobs=jobs)


def test_a_rotation_searches_the_rules_of_all_regimes_and_is_flat_where_it_says_null(folder, tmp_path):
    result = rotating(folder, tmp_path / "out", **FREE)
    result.ledger.reconcile()
    told = result.to_dict()
    assert [fold["candidates"] for fold in told["folds"]] == [4, 4, 4]
    assert all(fold["params"].keys() == {"calm.fast", "calm.slow", "normal.size"} for fold in told["folds"])
    assert [fit["what"] for fit in told["folds"][0]["fits"]] == ["regimes"]
    held = result.ledger.position[:, 0] != 0
    turns = (np.arange(24 * DAYS) // 120 % 3)[-len(held) :]
    assert held[turns == 2].mean() < 0.1 < held[turns != 2].mean()
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["rule"]["name"] == "rotation of sma_cross and own.py:daily"


def test_a_rotation_gives_the_same_bytes_on_any_number_of_threads_and_from_its_run_folder(folder, tmp_path):
    one = rotating(folder, tmp_path / "one", jobs=1)
    two = rotating(folder, tmp_path / "two", jobs=2)
    assert numbers(one.folder) == numbers(two.folder)
    again = wfbt.run(one.folder / "config.resolved.yaml", out=tmp_path / "again", report=False)
    assert again.run_id == one.run_id
    assert numbers(again.folder) == numbers(one.folder)


def test_a_rotation_of_one_rule_with_one_set_of_parameters_is_that_rule(folder, tmp_path):
    rule = {"rule": "own.py:daily", "params": {"size": 0.3}}
    rotated = rotating(folder, tmp_path, {"rotate": dict.fromkeys(("calm", "normal", "turbulent"), rule)})
    alone = rotating(folder, tmp_path, rule)
    np.testing.assert_array_equal(rotated.ledger.equity, alone.ledger.equity)
    assert len(rotated.ledger.fills) == len(alone.ledger.fills) > 10


def test_sizes_may_shrink_with_the_regime_of_the_close_that_decides(folder, tmp_path):
    rule = {"rule": "own.py:daily", "params": {"size": 0.4}, "search": {}}

    def traded(scale):
        sizing = {"scale": {"regimes": scale}} if scale is not None else {}
        return run(folder, tmp_path, policy=rule, sizing=sizing, **FREE)

    same = traded({"calm": 1.0})
    np.testing.assert_array_equal(same.ledger.equity, traded(None).ledger.equity)
    half = traded({"turbulent": 0.5})
    weight = np.abs(half.ledger.position[:, 0] * half.ledger.mark[:, 0]) / half.ledger.equity
    whole = np.abs(same.ledger.position[:, 0] * same.ledger.mark[:, 0]) / same.ledger.equity
    # Two hours after each decision of a new side, by the regime of the hours around it.
    turns = (np.arange(24 * DAYS) // 120 % 3)[-len(weight) :]
    settled = np.arange(24 * DAYS)[-len(weight) :] % 24 == 2
    late = np.arange(24 * DAYS)[-len(weight) :] % 120 > 72
    np.testing.assert_allclose(
        weight[settled & late & (turns == 2)] / whole[settled & late & (turns == 2)], 0.5, rtol=0.1
    )
    np.testing.assert_allclose(weight[settled & late & (turns == 0)], whole[settled & late & (turns == 0)], rtol=0.02)


def test_too_few_training_rows_leave_a_fold_without_regimes_and_say_so(folder, tmp_path):
    rule = {"rule": "own.py:daily", "search": {}}
    result = run(folder, tmp_path, policy=rule, folds={"train": "6d", "count": 2})
    told = result.to_dict()["regimes"]
    assert told["unknown_days"] == told["days"]
    for fold in told["folds"]:
        assert fold["states"] is None
        assert "96 training rows are fewer than 100 for each state" in fold["reasons"]["states"]
    for row in told["by_regime"].values():
        assert row["days"] == 0
        assert row["total_return"] is None and row["reasons"]["total_return"] == "no day fell into this regime"
    rotated = rotating(folder, tmp_path, folds={"train": "6d", "count": 2, "objective": "total_return"})
    assert len(rotated.ledger.fills) == 0
    assert rotated.to_dict()["folds"][0]["fits"][0]["notes"][-1] == "no regimes"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two symbols that are turbulent at different times."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "own.py").write_text(OWN)
    for symbol, bars in (("AAA", turning(3)), ("BBB", turning(4, length=90))):
        write(folder / f"{symbol}.parquet", bars_table(ts=START + HOUR * np.arange(24 * DAYS), **bars))
    return folder


BOTH = {"symbols": {name: {"bars": f"{name}.parquet"} for name in ("AAA", "BBB")}}


@pytest.mark.parametrize("of", ["market", "own"])
def test_several_symbols_share_the_markets_regime_or_have_their_own(pair, tmp_path, of):
    policy = {"rotate": {"calm": {"rule": "buy_hold"}, "normal": {"rule": "momentum"}, "turbulent": None}}
    result = rotating(pair, tmp_path, policy, data=BOTH, regimes={"of": of}, **FREE)
    result.ledger.reconcile()
    assert [fit["symbol"] for fit in result.to_dict()["folds"][0]["fits"]] == ["AAA", "BBB"]
    held = result.ledger.position != 0
    assert (held[:, 0] != held[:, 1]).any() == (of == "own")
    assert sum(row["days"] for row in result.to_dict()["regimes"]["by_regime"].values()) > 50


def test_a_sleeve_may_rotate_beside_one_that_does_not(pair, tmp_path):
    members = {
        "rotating": {"policy": {"rotate": {"calm": {"rule": "buy_hold"}, "normal": None, "turbulent": None}}},
        "steady": {"policy": {"rule": "buy_hold"}, "symbols": ["BBB"]},
    }
    sections = {"policy": None, "sleeves": {"members": members}, "data": BOTH} | FREE
    result = run(pair, tmp_path, **sections)
    result.ledger.reconcile()
    fits = [(fit["what"], fit["symbol"]) for fit in result.to_dict()["folds"][0]["fits"]]
    assert fits[:2] == [("regimes", "AAA"), ("regimes", "BBB")]
    assert {what for what, _ in fits[2:]} == {"sleeves.allocation"}
    assert result.to_dict()["regimes"]["unknown_days"] == 0


def test_one_position_of_two_sleeves_has_no_two_sizes(pair, tmp_path):
    members = {name: {"policy": {"rule": "own.py:daily"}, "symbols": ["AAA"]} for name in ("one", "two")}
    data = {"symbols": {"AAA": {"bars": "AAA.parquet"}}}
    sections = {"policy": None, "data": data, "sizing": {"scale": {"regimes": {"calm": 0.5}}}} | FREE
    allocation = {"method": "inverse_volatility"}
    with pytest.raises(ConfigError, match=r"sizing\.scale\.regimes: AAA is traded by one and by another sleeve"):
        run(pair, tmp_path, sleeves={"members": members, "netting": True, "allocation": allocation}, **sections)
    apart = run(pair, tmp_path, sleeves={"members": members, "allocation": allocation}, **sections)
    apart.ledger.reconcile()


@pytest.mark.parametrize(
    ("rotate", "regimes", "rule"),
    [
        ({"calm": None, "normal": None, "turbulent": None}, {}, "policy.rotate needs a rule in one regime at least"),
        ({"calm": "x"}, {"by": "mean"}, 'must name states of regimes \\(bear, sideways, bull\\), was "calm"'),
        ({"calm": "x", "turbulant": None}, {}, "did you mean turbulent\\?"),
        ({"calm": "x", "turbulent": None}, {}, "policy.rotate must say what to do in normal; null is flat"),
        ({"calm": "x"}, None, "policy.rotate needs the regimes section, which is null"),
        ({}, {}, "policy.rotate must say what to do in calm and normal and turbulent"),
    ],
)
def test_a_rotation_that_does_not_fit_the_regimes_is_refused(folder, rotate, regimes, rule):
    path = write_strategy(folder, "wrong.yaml")
    parts = {name: one and {"rule": "buy_hold"} for name, one in rotate.items()}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"policy": {"rotate": parts}, "regimes": regimes}))
    with pytest.raises(ConfigError, match=rule):
        load_strategy(path)


@pytest.mark.parametrize(
    ("sections", "rule"),
    [
        ({"regimes": {"states": 5}}, "regimes.states must be <= 4, was 5"),
        ({"regimes": {"state": 3}}, "unknown key regimes.state; did you mean states\\?"),
        ({"regimes": {"by": "volatility"}}, "regimes.by must be one of variance, mean"),
        ({"sizing": {"scale": {"regimes": {"wild": 0.5}}}}, "sizing.scale.regimes must name states of regimes"),
        ({"sizing": {"scale": {"regimes": {"calm": 1.5}}}}, "sizing.scale.regimes.calm must be <= 1"),
    ],
)
def test_a_mistake_in_what_is_said_of_regimes_is_told(folder, sections, rule):
    with pytest.raises(ConfigError, match=rule):
        load_strategy(write_strategy(folder, "wrong.yaml", **sections))


def test_what_regimes_cost_and_made_adds_up_to_the_whole(pair, tmp_path):
    policy = {"rule": "momentum", "params": {"n": 5}, "search": {}}
    result = run(pair, tmp_path, policy=policy, data=BOTH, **FREE).to_dict()["attribution"]
    assert set(result["by_regime"]) <= {"calm", "normal", "turbulent", "unknown"} and len(result["by_regime"]) > 1
    for cause in (*result["causes"], "net", "fills", "traded"):
        parts = [row[cause] for row in result["by_regime"].values()]
        assert sum(parts) == pytest.approx(result["by_cause"][cause], rel=1e-9, abs=1e-6)
