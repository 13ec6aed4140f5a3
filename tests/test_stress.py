"""Stress, capacity and decay of whole runs: every kind of strategy, any number of threads."""

import json
from dataclasses import replace

import numpy as np
import pytest

import wfbt
from tests.runs import numbers, write_study
from wfbt.assembly import read_market, study_of
from wfbt.config.load import load_strategy
from wfbt.policies import policies_of
from wfbt.setups import scenarios_of
from wfbt.validation.again import Ran
from wfbt.validation.scenarios import Scenario
from wfbt.validation.sleeves import Portfolio, walk_sleeves
from wfbt.validation.stress import stressed, worst_row
from wfbt.validation.walk_forward import walk_forward

ON = {"stress": {}, "capacity": {"sizes": [1000, 10000, 100000]}, "decay": {"resamples": 100}}
TWO = {
    "symbols": {
        name: {"bars": "bars.parquet" if name == "AAA" else "other/bars.parquet", "contract": {"lot": 0.001}}
        for name in ("AAA", "BBB")
    }
}
SLEEVES = {
    "members": {
        "slow": {"policy": {"rule": "sma_cross", "params": {"fast": 12, "slow": 48}}, "symbols": ["AAA", "BBB"]},
        "fast": {"policy": {"rule": "sma_cross", "params": {"fast": 4, "slow": 12}}, "symbols": ["AAA"]},
    }
}
FITTED = '''
class Level:
    """Long above the mean of the training closes."""

    def fit(self, bars):
        self.level = bars["close"].mean()

    def targets(self, bars):
        return (bars["close"] > self.level).astype(float)
'''
KINDS = {
    "plain": {},
    "two": {"data": TWO},
    "netted": {"data": TWO, "sleeves": SLEEVES, "policy": None, "exits": None},
    "sleeves": {"data": TWO, "sleeves": SLEEVES | {"netting": False}, "policy": None},
    "cpcv": {"folds": {"count": 4, "scheme": "cpcv"}},
    "fitted": {"policy": {"rule": "level.py:Level", "search": {}, "params": {}}, "exits": None},
    "learner": {"volatility": {"model": "har", "sizing": True}, "sizing": {"method": "volatility"}},
    "ensemble": {
        "policy": {
            "ensemble": [
                {"rule": "sma_cross", "weight": 0.5, "params": {"fast": 4, "slow": 24}},
                {"rule": "sma_cross", "weight": 0.5, "params": {"fast": 12, "slow": 36}},
            ]
        },
        "exits": None,
    },
}


def study_file(folder, kind, **sections):
    given = KINDS[kind] | sections
    if kind == "ensemble":
        given["policy"] = given["policy"] | {"rule": None, "search": {}}
    path = write_study(folder, **given)
    (folder / "level.py").write_text(FITTED)
    if "data" in given:
        from tests.runs import hours

        write_study(folder / "other", hours(seed=9))
    return path


def walked(path, *overrides):
    config = load_strategy(path, overrides=overrides)
    study, plan, _ = study_of(config, read_market(config), policies_of(config), 1)
    walk = walk_sleeves(study, plan) if isinstance(study, Portfolio) else walk_forward(study, plan)
    return Ran.of(study, walk, config.seed), config


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_strategy_is_stressed_sized_and_aged(kind, tmp_path):
    result = wfbt.run(study_file(tmp_path, kind, **ON), out=tmp_path / "out", report=False).to_dict()
    assert not {"stress", "capacity", "decay"} & set(result["reasons"])
    for part in (*result["stress"]["scenarios"], *result["capacity"]["sizes"], *result["decay"]["signals"].values()):
        assert {key for key, value in part.items() if value is None} == set(part["reasons"])
    played = {one["name"] for one in result["stress"]["scenarios"] if one["loss"] is not None}
    assert {"flash crash, one bar", "liquidity crisis", "exchange outage, 4h", "failed orders", "stale feed"} <= played
    assert ("correlation breakdown, flipped" in played) == ("data" in KINDS[kind])
    expected = {"ensemble": 3, "netted": 2, "sleeves": 2}.get(kind, 1)
    assert len(result["decay"]["signals"]) == expected


@pytest.mark.parametrize("kind", ["plain", "sleeves", "netted", "fitted", "learner"])
def test_asked_again_on_the_market_as_it_was_a_strategy_decides_what_it_did(kind, tmp_path):
    ran, _ = walked(study_file(tmp_path, kind))
    again = ran.decides(ran.on(ran.market, replace(ran.market)), 0)
    assert again.intents.tobytes() == ran.walk.decided.intents.tobytes()


@pytest.mark.parametrize("kind", ["plain", "sleeves", "fitted"])
def test_nothing_differs_before_a_shock_and_the_policy_sees_it_after(kind, tmp_path):
    ran, _ = walked(study_file(tmp_path, kind))
    base = ran.walk.ledger
    middle = int(base.ts[len(base.ts) // 2])
    crash = Scenario(name="", what="", at=middle, shock=-0.3, bars=2)
    there = stressed(ran, crash)
    assert np.array_equal(there.ledger.equity[: there.first + 1], base.equity[: there.first + 1])
    assert not np.array_equal(there.ledger.equity, base.equity)
    assert base.ts[there.first] == middle
    targets = there.ledger.orders["row"], base.orders["row"]
    assert not np.array_equal(targets[0], targets[1])


def test_the_worst_moments_are_where_exposure_and_moves_are_largest(tmp_path):
    ran, config = walked(study_file(tmp_path, "plain"))
    base = ran.walk.ledger
    net = base.worth(base.position, base.mark)[:, 0] / base.equity
    scenarios = {one.name: one for one in scenarios_of(config.model_copy(update={"stress": load_on(tmp_path)}))}
    assert worst_row(base, scenarios["flash crash, one bar"], ran.market.period).row == net[:-1].argmax()
    outage = worst_row(base, scenarios["exchange outage, 4h"], ran.market.period).row
    lost = [base.position[t, 0] * (base.mark[t, 0] - base.mark[min(t + 4, len(net) - 1), 0]) / base.equity[t]
            for t in range(len(net) - 1)]  # fmt: skip
    assert outage == int(np.argmax(lost))
    if net.min() >= 0:
        nowhere = worst_row(base, scenarios["flash melt-up, one bar"], ran.market.period)
        assert nowhere.why_not == "the account was never net short"


def load_on(folder):
    return load_strategy(study_file(folder, "plain", stress={})).stress


def test_a_run_with_bad_days_gives_the_same_bytes_on_any_number_of_threads(tmp_path):
    own = {"mine": {"at": "2024-04-10T12:00", "shock": -0.3, "bars": 3, "recover": 0.5, "spread": 10, "outage": "4h"}}
    path = study_file(tmp_path, "plain", **(ON | {"stress": {"scenarios": own}}))
    one = wfbt.run(path, out=tmp_path / "one", report=False, jobs=1)
    many = wfbt.run(path, out=tmp_path / "many", report=False, jobs=4)
    assert numbers(one.folder) == numbers(many.folder)
    mine = one.to_dict()["stress"]["scenarios"][-1]
    assert mine["at"] == "2024-04-10T12:00:00Z"
    assert mine["what"] == "prices -30% over 3 bars, 50% of it back; spread x 10 for 1d; no order is matched for 4h"


def test_a_moment_that_was_not_traded_is_said_and_not_played(tmp_path):
    own = {"early": {"at": "2024-01-10", "shock": -0.3}}
    path = study_file(tmp_path, "plain", stress={"scenarios": own})
    row = wfbt.run(path, out=tmp_path / "out", report=False).to_dict()["stress"]["scenarios"][-1]
    assert row["loss"] is None and row["reasons"]["loss"].startswith("the account was traded from 2024-03-01")


def test_what_is_switched_off_is_null_with_its_reason(tmp_path):
    result = wfbt.run(study_file(tmp_path, "plain"), out=tmp_path / "out", report=False).to_dict()
    for key in ("stress", "capacity", "decay"):
        assert result[key] is None
        assert result["reasons"][key] == f"the strategy's {key} section is null"


def test_the_page_shows_bad_days_capacity_and_decay_and_their_worries(tmp_path):
    run = wfbt.run(study_file(tmp_path, "two", **ON), out=tmp_path / "out")
    page = (run.folder / "index.html").read_text()
    for words in ("Bad days", "Capacity", "How long a signal lasts", "In mandate", "What would worry"):
        assert words in page
    told = json.loads((run.folder / "result.json").read_text())["stress"]
    assert f"The worst is {told['worst']}" in page
