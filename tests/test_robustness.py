"""The robustness section of a run, from the strategy file to result.json and the page."""

import json

import numpy as np
import pytest

import wfbt
from tests.runs import hours, write_strategy, write_study
from wfbt.validation.robustness.neighbours import STEPS, hypercube, is_movable, moved
from wfbt.validation.robustness.suite import KEYS

SMALL = {"samples": 12, "draws": 4, "replays": 20, "bootstrap": 100, "offsets": [0.5]}
OFF = {"params": None, "delay": None, "noise": None, "skip": None, "bootstrap": None, "costs": None, "latency": None}
OFF |= {"offsets": None}


def trending(days=240):
    """A market whose trends last for days, so that following them pays."""
    rng = np.random.default_rng(11)
    bars = hours(days)
    drift = np.repeat(rng.choice([-1.0, 1.0], days // 5), 5 * 24) * 0.0008
    close = 100 * np.exp(np.cumsum(drift + rng.normal(0, 0.004, len(drift))))
    opens = np.r_[100.0, close[:-1]]
    return bars | {
        "open": opens,
        "high": np.maximum(opens, close) * 1.001,
        "low": np.minimum(opens, close) * 0.999,
        "close": close,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("robust")
    write_study(folder, trending(), robustness=SMALL, data={"end": "2024-08-28"})
    return folder


@pytest.fixture(scope="module")
def done(folder):
    return wfbt.run(folder / "small.yaml", out=folder / "out", jobs=1)


@pytest.fixture(scope="module")
def told(done):
    return done.to_dict()["robustness"]


def check_reasons(told):
    """A missing number is null with a reason beside it, at every depth."""
    if isinstance(told, dict):
        if "reasons" in told:
            missing = {key for key, value in told.items() if value is None}
            assert missing == set(told["reasons"])
            assert all(told["reasons"].values())
        for value in told.values():
            check_reasons(value)
    elif isinstance(told, list):
        for value in told:
            check_reasons(value)


def test_every_test_is_run_by_default_and_says_why_a_number_is_missing(told):
    assert set(KEYS) <= told.keys()
    assert all(told[key] is not None for key in KEYS)
    check_reasons(told)


def test_the_base_is_the_runs_own_sharpe_ratio_and_every_test_is_compared_with_it(done, told):
    base = done.to_dict()["oos"]["sharpe"]
    assert base > 0.5
    assert told["base"] == pytest.approx(base, rel=1e-9)
    for key in ("params", "delay", "noise", "bootstrap", "latency"):
        assert told[key]["base"] == told["base"]
    assert told["noise"]["share_of_base"] == pytest.approx(told["noise"]["quantiles"]["median"] / base)
    for curve in told["params"]["curves"].values():
        assert curve["sharpe"][STEPS.index(0.0)] == told["base"]
    assert told["delay"]["fixed"][0]["sharpe"] == pytest.approx(base, rel=1e-9)


def test_the_share_of_the_delay_test_is_that_of_one_bar(told):
    one = told["delay"]["fixed"][1]
    assert one["bars"] == 1
    assert told["delay"]["share_of_base"] == pytest.approx(one["sharpe"] / told["base"])


def test_what_passes_is_what_the_criterion_says(told):
    for key, share in (("params", 0.7), ("delay", 0.5)):
        one = told[key]
        assert one["passes"] == (one["share_of_base"] >= share and one["quantiles"]["q05"] > 0)
    assert told["noise"]["passes"] == (told["noise"]["share_of_base"] >= 0.7)
    assert told["bootstrap"]["passes"] == (told["bootstrap"]["quantiles"]["q05"] > 0)
    assert told["latency"]["passes"] == (told["latency"]["sharpe"] > 0)
    assert [one["passes"] for one in told["skip"]["levels"]] == [None] * 3


def test_the_surface_holds_the_curves_of_its_two_parameters(told):
    surface, curves = told["params"]["surface"], told["params"]["curves"]
    middle = STEPS.index(0.0)
    assert surface["sharpe"][middle] == curves[surface["columns"]]["sharpe"]
    assert [row[middle] for row in surface["sharpe"]] == curves[surface["rows"]]["sharpe"]
    assert curves[surface["rows"]]["span"] >= curves[surface["columns"]]["span"]


def test_dearer_trading_earns_less(told):
    steps = [told["base"], *(one["sharpe"] for one in told["costs"]["levels"])]
    assert [one["multiple"] for one in told["costs"]["levels"]] == [2.0, 5.0]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > steps[-1]


def test_the_bordering_walks_are_compared_on_the_days_they_share(done, told):
    (one,) = told["offsets"]["levels"]
    days = len(done.ledger.returns_daily())
    assert days * 0.7 < one["days"] < days
    assert one["base"] != told["base"]
    assert one["share_of_base"] == pytest.approx(one["sharpe"] / one["base"])


def test_two_threads_find_what_one_finds(done, folder, tmp_path):
    again = wfbt.run(folder / "small.yaml", out=tmp_path, jobs=2, report=False)
    assert again.run_id == done.run_id
    assert json.dumps(again.to_dict()["robustness"]) == json.dumps(done.to_dict()["robustness"])


def test_the_section_is_part_of_the_run_and_no_look(done, folder, tmp_path):
    path = write_strategy(folder, "other.yaml", robustness=OFF, data={"end": "2024-08-28"})
    other = wfbt.run(path, out=folder / "out", report=False)
    assert other.run_id != done.run_id
    assert other.to_dict()["oos"] == done.to_dict()["oos"]
    trials = other.to_dict()["trials"]
    assert (trials["looks_by_family"], trials["looks_by_anyone"]) == (1, 1)


def test_what_is_switched_off_is_null_and_says_so(folder, tmp_path):
    path = write_strategy(folder, "off.yaml", robustness=OFF, data={"end": "2024-08-28"})
    told = wfbt.run(path, out=tmp_path, report=False).to_dict()["robustness"]
    check_reasons(told)
    assert all(told[key] is None for key in KEYS)
    assert {told["reasons"][key] for key in KEYS} == {"it is switched off in the robustness section"}
    assert told["base"] is not None


@pytest.mark.parametrize("switch", [None, False])
def test_without_a_section_nothing_is_asked(folder, tmp_path, switch):
    path = write_strategy(folder, "none.yaml", robustness=switch, data={"end": "2024-08-28"})
    if switch is None:
        path.write_text(json.dumps(json.loads(path.read_text()) | {"robustness": None}))
    result = wfbt.run(path, out=tmp_path, report=False).to_dict()
    assert result["robustness"] is None
    assert result["reasons"]["robustness"] == "the strategy's robustness section is null"


def test_a_loss_has_no_share_to_keep(tmp_path):
    """A walk of 120 days through noise that loses: shares are null, and whether it passes is not known."""
    only = OFF | {"noise": 0.001, "draws": 3, "delay": 1, "replays": 5}
    path = write_study(tmp_path, robustness=only, costs={"taker_bps": 100.0})
    told = wfbt.run(path, out=tmp_path / "out", report=False).to_dict()["robustness"]
    check_reasons(told)
    assert told["base"] < 0
    for key in ("noise", "delay"):
        assert told[key]["share_of_base"] is told[key]["passes"] is None
        assert "a share of no gain means nothing" in told[key]["reasons"]["passes"]


def test_folds_that_test_around_have_no_borders_to_move(tmp_path):
    only = OFF | {"offsets": [0.5], "params": 0.2, "samples": 4, "noise": 0.001, "draws": 2}
    folds = {"scheme": "cpcv", "count": 4, "groups_out": 2, "embargo": "2h"}
    path = write_study(tmp_path, robustness=only, folds=folds)
    result = wfbt.run(path, out=tmp_path / "out", report=False)
    told = result.to_dict()["robustness"]
    check_reasons(told)
    assert told["offsets"] is None
    assert "cpcv" in told["reasons"]["offsets"]
    assert told["params"]["n"] + told["params"]["refused"] == 4
    assert told["base"] == pytest.approx(result.ledger.metrics()["sharpe"], rel=1e-9)


@pytest.mark.parametrize("netting", [True, False])
def test_sleeves_are_asked_together_as_one_account(tmp_path, netting):
    members = {
        "slow": {"policy": {"rule": "sma_cross", "params": {"fast": 8, "slow": 36}}},
        "quick": {"policy": {"rule": "momentum", "params": {}}},
    }
    small = SMALL | {"samples": 4, "draws": 2, "replays": 3}
    path = write_study(tmp_path, robustness=small, policy=None, sleeves={"netting": netting, "members": members})
    result = wfbt.run(path, out=tmp_path / "out", report=False)
    told = result.to_dict()["robustness"]
    check_reasons(told)
    assert told["delay"]["fixed"][0]["sharpe"] == pytest.approx(result.to_dict()["oos"]["sharpe"], rel=1e-9)
    assert {"slow.fast", "slow.slow"} <= set(told["params"]["parameters"])
    assert told["noise"]["n"] == 2
    assert told["offsets"]["n"] == 1
    assert told["latency"]["sharpe"] is not None


def test_an_account_without_delays_has_none_to_stretch(folder, tmp_path):
    only = OFF | {"latency": 5, "costs": [2]}
    free = {"maker_bps": 0, "taker_bps": 0, "half_spread_bps": 0, "impact": None}
    sections = {"latency": "none", "costs": free, "data": {"end": "2024-08-28"}}
    path = write_strategy(folder, "instant.yaml", robustness=only, **sections)
    told = wfbt.run(path, out=tmp_path, report=False).to_dict()["robustness"]
    assert told["latency"] is told["costs"] is None
    assert told["reasons"]["latency"] == "no delay is configured, so there is nothing to multiply"
    assert told["reasons"]["costs"] == "no trading cost is configured, so there is nothing to multiply"


def test_neighbours_that_a_rule_refuses_are_dropped_and_counted(folder, tmp_path):
    """fast 20 and slow 22 cross within ±20%."""
    only = OFF | {"params": 0.2, "samples": 30}
    policy = {"rule": "sma_cross", "params": {"fast": 20, "slow": 22}, "search": {}}
    path = write_strategy(folder, "near.yaml", robustness=only, policy=policy, data={"end": "2024-08-28"})
    told = wfbt.run(path, out=tmp_path, report=False).to_dict()["robustness"]["params"]
    assert 0 < told["refused"] < 30
    assert told["n"] == 30 - told["refused"]
    assert told["refused_nearby"] > 0
    assert "sma_cross has no meaning with" in told["refused_why"]
    check_reasons(told)


def test_a_fitted_rule_and_fitted_features_are_asked_again(folder, tmp_path):
    (folder / "mean.py").write_text(
        "class Mean:\n"
        "    def fit(self, bars, n=24):\n"
        "        self.n, self.level = n, bars['close'].pct_change().mean()\n"
        "    def targets(self, bars):\n"
        "        calm = (bars['regime'] == 0).astype(float)\n"
        "        return (bars['close'].pct_change(self.n) > self.level).astype(float) * (0.5 + 0.5 * calm)\n"
    )
    only = OFF | {"params": 0.2, "samples": 3, "noise": 0.001, "draws": 2, "offsets": [0.5]}
    sections = {"policy": {"rule": "mean.py:Mean", "params": {"n": 12}, "search": {}}, "data": {"end": "2024-08-28"}}
    path = write_strategy(folder, "fitted.yaml", robustness=only, regimes={"show": True, "states": 2}, **sections)
    told = wfbt.run(path, out=tmp_path, report=False).to_dict()["robustness"]
    check_reasons(told)
    assert told["params"]["parameters"] == ["n"]
    assert told["params"]["surface"] is None
    assert told["noise"]["quantiles"]["q05"] != told["noise"]["quantiles"]["q95"]


def test_a_whole_number_moves_by_its_share_or_by_one():
    assert [moved(20, step, 0.2) for step in STEPS] == [16, 18, 20, 22, 24]
    assert [moved(3, step, 0.2) for step in (-1.0, -0.4, 0.4, 1.0)] == [2, 3, 3, 4]
    assert [moved(-3, step, 0.2) for step in (-1.0, 1.0)] == [-4, -2]
    assert moved(2.0, 0.5, 0.2) == pytest.approx(2.2)
    assert type(moved(20, 0.3, 0.2)) is int


def test_what_is_no_size_is_not_moved():
    assert [is_movable("n", value) for value in (1, 0.5, 0, 0.0, True, None, "x", (1, 2))] == [True] * 2 + [False] * 6
    assert not is_movable("seed", 3)
    assert not is_movable("slow.seed", 3)


def test_a_latin_hypercube_has_one_point_in_every_stratum_of_every_axis():
    cube = hypercube(16, 3, np.random.default_rng(1))
    assert cube.shape == (16, 3)
    strata = np.floor((cube + 1.0) / 2.0 * 16).astype(int)
    for axis in strata.T:
        assert sorted(axis.tolist()) == list(range(16))


def test_a_policy_without_numbers_and_an_account_that_never_trades_are_told_as_such(folder, tmp_path):
    (folder / "idle.py").write_text("def idle(bars):\n    return bars['close'] * 0.0\n")
    sections = {"policy": {"rule": "idle.py:idle", "search": {}}, "data": {"end": "2024-08-28"}}
    path = write_strategy(folder, "idle.yaml", robustness=SMALL, **sections)
    told = wfbt.run(path, out=tmp_path, report=False).to_dict()["robustness"]
    check_reasons(told)
    assert told["params"] is None
    assert told["reasons"]["params"] == "the policy takes no number that a share could be moved of"
    assert told["base"] is told["bootstrap"] is None
    assert told["reasons"]["base"] == "the account did not move"
    assert told["noise"]["undefined"] == told["noise"]["n"] == 4


def test_a_rule_that_breaks_on_noisy_prices_is_told_of_and_ends_no_run(folder, tmp_path):
    (folder / "exact.py").write_text(
        "def exact(bars, n=24):\n"
        "    if abs(bars['close'].iloc[0] / bars['open'].iloc[0] - CLOSE) > 1e-9:\n"
        "        raise ValueError('these are not my prices')\n"
        "    return (bars['close'].pct_change(n) > 0).astype(float)\n"
        f"CLOSE = {float(trending()['close'][0]) / 100.0!r}\n"
    )
    only = OFF | {"noise": 0.001, "draws": 3}
    sections = {"policy": {"rule": "exact.py:exact", "search": {}}, "data": {"end": "2024-08-28"}}
    path = write_strategy(folder, "exact.yaml", robustness=only, **sections)
    told = wfbt.run(path, out=tmp_path, report=False).to_dict()["robustness"]["noise"]
    check_reasons(told)
    assert (told["n"], told["refused"], told["passes"]) == (0, 3, None)
    assert "these are not my prices" in told["refused_why"]
