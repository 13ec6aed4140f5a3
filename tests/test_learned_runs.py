"""Trained policies run from end to end: alone, watching their account, beside rules, several, by regime, by level."""

import json

import numpy as np
import pytest

import wfbt
from tests.models import artefact, is_number, manager
from tests.runs import write_study
from tests.simulation.test_section import unexplained
from tests.test_stress import walked
from wfbt.errors import ArtifactError, ConfigError
from wfbt.policy.artifact.description import Continuous
from wfbt.validation.capacity import capacity
from wfbt.validation.decay import signals_of
from wfbt.validation.scenarios import Scenario, priced
from wfbt.validation.walk_forward import followed

SEEN = ("position", "unrealised", "holding", "drawdown")
FREE = {"impact": None, "participation": None}


def told(folder, **sections):
    path = write_study(folder, **sections)
    run = wfbt.run(path, out=folder / "reports", jobs=1)
    run.ledger.reconcile()
    result = json.loads((run.folder / "result.json").read_text())
    assert result["leakage"]["passed"]
    return run, result


def test_a_model_runs_as_a_rule_does_and_every_seed_is_a_candidate(tmp_path):
    artefact(tmp_path / "model", {"policy": {}}, seeds=(0, 1, 2))
    run, result = told(
        tmp_path, policy={"rule": None, "search": {}, "model": "model"}, folds={"count": 2, "train": "56d"}
    )
    assert result["oos"]["trades"] > 10
    assert is_number(result["oos"]["sharpe"])
    assert {fold["params"]["seed"] for fold in result["folds"]} <= {0, 1, 2}
    assert [fold["candidates"] for fold in result["folds"]] == [3, 3]
    manifest = json.loads((run.folder / "manifest.json").read_text())
    assert manifest["rule"]["name"] == "model"
    assert result["models"]["policy"]["provenance"] == "recorded"
    assert [one["seed"] for one in result["seeds"]["each"]] == [0, 1, 2]
    low, high = result["seeds"]["interval"]["low"], result["seeds"]["interval"]["high"]
    assert low <= result["seeds"]["interquartile_mean"] <= high
    assert result["seeds"]["worst"]["sharpe"] == min(one["sharpe"] for one in result["seeds"]["each"])
    assert result["baselines"]["random"]["accounts"] == 100
    assert result["baselines"]["rule_alone"] is None
    assert result["baselines"]["reasons"]["rule_alone"] == "no rule stands beside the network"
    page = (run.folder / "index.html").read_text()
    assert "<h2>Networks</h2>" in page
    assert "What it has to beat" in page
    assert page.count("Each seed, out of sample") == 1


def test_folds_too_short_for_a_score_of_each_seed_are_named_as_the_reason(tmp_path):
    artefact(tmp_path / "model", {"policy": {}}, seeds=(0, 1, 2))
    _, result = told(
        tmp_path, policy={"rule": None, "search": {}, "model": "model"}, folds={"count": 4, "train": "56d"}
    )
    assert result["seeds"]["interval"] is None
    assert "shorter than 30 days" in result["seeds"]["reasons"]["interval"]
    assert all(one["sharpe"] is not None for one in result["seeds"]["each"])


def test_the_file_of_one_seed_stands_for_that_seed_alone(tmp_path):
    artefact(tmp_path / "model", {"policy": {}}, seeds=(4, 5, 6))
    _, of_all = told(tmp_path / "all", policy={"rule": None, "search": {}, "model": "../model", "params": {"seed": 5}})
    _, of_one = told(tmp_path / "one", policy={"rule": None, "search": {}, "model": "../model/seed-5.safetensors"})
    assert of_one["models"]["policy"]["seeds"] == [5]
    assert of_one["oos"] == of_all["oos"]
    path = write_study(tmp_path / "other", policy={
        "rule": None, "search": {}, "model": "../model/seed-5.safetensors", "params": {"seed": 4}
    })  # fmt: skip
    with pytest.raises(ConfigError, match=r"must be one of 5, the seeds of .*, was 4"):
        wfbt.run(path, out=tmp_path / "reports")


def test_a_model_that_watches_its_account_is_replayed_in_it_the_same_on_any_number_of_threads(tmp_path):
    artefact(tmp_path / "model", {"policy": {"account": SEEN}}, seeds=(0, 1))
    path = write_study(tmp_path, policy={"rule": None, "search": {}, "model": "model"})
    one = wfbt.run(path, out=tmp_path / "one", jobs=1)
    two = wfbt.run(path, out=tmp_path / "two", jobs=2)
    assert one.run_id == two.run_id
    for name in ("equity.parquet", "fills.parquet", "orders.parquet"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()
    assert len(one.ledger.fills) > 10


@pytest.mark.parametrize("mode", ["veto", "agree", "scale"])
@pytest.mark.parametrize("seen", [(), SEEN])
def test_a_rule_that_a_model_confirms_trades_less_often_or_smaller(tmp_path, mode, seen):
    artefact(tmp_path / "model", {"policy": {"account": seen}}, seeds=(3,))
    rule = {"rule": "sma_cross", "params": {"fast": 4, "slow": 24}, "search": {}}
    _, alone = told(tmp_path / "alone", policy=rule)
    hybrid = {"propose": rule, "confirm": {"model": "../model"}, "mode": mode}
    _, result = told(tmp_path / "hybrid", policy={"rule": None, "search": {}, "hybrid": hybrid})
    assert result["baselines"]["rule_alone"]["rule"] == "sma_cross"
    assert result["baselines"]["rule_alone"]["total_return"] == alone["oos"]["total_return"]
    assert 0 < result["oos"]["exposure"] <= alone["oos"]["exposure"]


def test_a_model_proposes_and_a_rule_confirms(tmp_path):
    for name, seen in (("plain", ()), ("watching", SEEN)):
        artefact(tmp_path / name / "model", {"policy": {"account": seen}}, seeds=(3,))
        hybrid = {"propose": {"model": "model"}, "confirm": {"rule": "sma_cross"}, "mode": "agree"}
        _, result = told(tmp_path / name, policy={"rule": None, "search": {}, "hybrid": hybrid})
        assert result["oos"]["trades"] > 5


def test_models_make_an_ensemble_and_take_turns_by_regime(tmp_path):
    for place, seen in enumerate([(), SEEN]):
        folder = tmp_path / str(place)
        for name, seed in (("a", 1), ("b", 2)):
            artefact(folder / name, {"policy": {"account": seen}}, seeds=(seed,))
        members = [{"model": "a", "weight": 0.6}, {"model": "b", "weight": 0.4}]
        _, result = told(folder, policy={"rule": None, "search": {}, "ensemble": members})
        assert result["oos"]["trades"] > 10
        turns = {"calm": {"model": "a"}, "normal": {"model": "b"}, "turbulent": None}
        _, result = told(folder, name="turns", policy={"rule": None, "search": {}, "rotate": turns})
        assert result["oos"]["trades"] > 5


def test_a_manager_and_its_worker_are_one_policy(tmp_path):
    artefact(tmp_path / "model", {"manager": manager(12), "worker": {"account": SEEN}})
    _, result = told(tmp_path, policy={"rule": None, "search": {}, "model": "model"})
    assert result["oos"]["trades"] > 10


def test_a_model_of_several_symbols_gives_each_a_direction_and_a_size(tmp_path):
    symbols = ("AAA", "BBB")
    features = tuple(f"{symbol}/{name}" for symbol in symbols for name in ("return_1", "rsi_14"))
    account = (*(f"{symbol}/position" for symbol in symbols), "drawdown")
    level = {"features": features, "account": account, "actions": Continuous(assets=symbols, sized=True, dead_zone=0.1)}
    artefact(tmp_path / "model", {"policy": level}, symbols=symbols)
    data = {
        "symbols": {
            symbol: {"bars": "bars.parquet", "funding": "funding.parquet", "mark": "mark.parquet"} for symbol in symbols
        }
    }
    run, result = told(tmp_path, data=data, policy={"rule": None, "search": {}, "model": "model"})
    assert set(run.ledger.symbols) == {"AAA", "BBB"}
    assert result["oos"]["trades"] > 10


def test_a_model_is_not_tested_on_what_it_was_trained_on(tmp_path):
    artefact(tmp_path / "model", {"policy": {}}, training=("2023-01-01", "2024-03-10"))
    path = write_study(tmp_path, policy={"rule": None, "search": {}, "model": "model"})
    with pytest.raises(ArtifactError, match=r"trained on 2023-01-01 .* and with its embargo nothing before 2024-03-11"):
        wfbt.run(path, out=tmp_path / "reports")
    assert not list((tmp_path / "reports").glob("small-*"))


def test_a_model_that_watches_shares_no_account_with_sleeves(tmp_path):
    artefact(tmp_path / "model", {"policy": {"account": SEEN}})
    members = {"net": {"policy": {"model": "model"}}, "rule": {"policy": {"rule": "buy_hold"}}}
    path = write_study(tmp_path, policy=None, sleeves={"members": members})
    with pytest.raises(ConfigError, match="net has a network that watches its account"):
        wfbt.run(path, out=tmp_path / "reports")


def test_a_confirming_model_may_abstain(tmp_path):
    rule = {"rule": "sma_cross", "params": {"fast": 4, "slow": 24}}
    shares = {}
    artefact(tmp_path / "model", {"policy": {}}, seeds=(3,))
    for name, passes in (("passes", True), ("blocks", False)):
        hybrid = {
            "propose": rule, "confirm": {"model": "../model", "least": 0.999}, "mode": "agree", "passes": passes,
        }  # fmt: skip
        _, result = told(tmp_path / name, policy={"rule": None, "search": {}, "hybrid": hybrid})
        shares[name] = result["oos"]["exposure"]
    assert shares["blocks"] < 0.5 * shares["passes"]


def everything(folder, **sections):
    """A network that watches its account, with every section that a strategy has by default."""
    artefact(folder / "model", {"policy": {"account": SEEN}}, seeds=(0, 1))
    path = write_study(folder, policy={"rule": None, "search": {}, "model": "model"}, **sections)
    tree = json.loads(path.read_text())
    for name in ("robustness", "stress", "capacity", "decay"):
        tree.pop(name)
    path.write_text(json.dumps(tree))
    return path


@pytest.mark.slow
def test_a_model_that_watches_its_account_is_put_through_everything_and_every_null_has_its_reason(tmp_path):
    simulated = {"replays": 30, "paths": 200, "horizon": "30d", "sizes": [1, 2]}
    run = wfbt.run(everything(tmp_path, monte_carlo=simulated), out=tmp_path / "reports", jobs=1)
    result = json.loads((run.folder / "result.json").read_text())
    for name in ("robustness", "capacity", "decay", "monte_carlo", "ruin"):
        assert not unexplained(result[name], name)
    robust = result["robustness"]
    assert [name for name, one in robust.items() if one is None] == ["params"]
    assert "takes no number" in robust["reasons"]["params"]
    assert "not asked what they make" in robust["delay"]["what"] and "not asked" in robust["skip"]["what"]
    dearer = [level["total_return"] for level in robust["costs"]["levels"]]
    assert dearer[1] < dearer[0] < result["oos"]["total_return"]
    assert robust["noise"]["refused"] == 0 and is_number(robust["noise"]["quantiles"]["median"])
    own = next(one for one in result["capacity"]["sizes"] if one["size"] == 10_000)
    assert own["total_return"] == result["oos"]["total_return"]
    assert all(one is not None for one in result["decay"]["signals"]["all"]["ic"])
    played = [one for one in result["stress"]["scenarios"] if not one["name"].startswith("correlation")]
    assert len(played) >= 8 and all(is_number(one["loss"]) for one in played)
    told = result["monte_carlo"]
    assert [key for key in "12345" if told[key] is None] == ["4"]
    assert told["warm_bars"] < 0.5 * told["train"]["rows"]
    assert told["1"]["never_traded"]["count"] == 0


def test_a_model_that_watches_sees_the_account_of_the_altered_market_whatever_fold_the_event_falls_in(tmp_path):
    artefact(tmp_path / "model", {"policy": {"account": SEEN}}, seeds=(0,))
    ran, _ = walked(write_study(tmp_path, policy={"rule": None, "search": {}, "model": "model"}))
    block = ran.walk.route[-1][1]
    since = block.start + 5
    scenario = Scenario(name="fall", what="a fall", shock=-0.3, bars=1, recover=0.0)
    there = ran.on(priced(ran.market, scenario, int(ran.walk.decided.deck.close_ts[since])), ran.market)
    late, whole = ran.decides(there, since), ran.decides(there, 0)
    assert late.watching.deck is late.deck
    assert late.intents.tobytes() == whole.intents.tobytes() != ran.walk.decided.intents.tobytes()
    base, shocked = ran.walk.ledger.equity, followed(late).equity
    first = since - ran.walk.decided.first
    assert (base[: first + 1] == shocked[: first + 1]).all() and base[-1] != shocked[-1]


def test_a_model_that_watches_is_asked_again_at_other_sizes_as_it_was_at_its_own(tmp_path):
    artefact(tmp_path / "model", {"policy": {"account": SEEN}}, seeds=(0,))
    for number, sizing in enumerate([{"method": "fraction"}, {"method": "fixed", "notional": 8_000}]):
        folder = tmp_path / str(number)
        path = write_study(folder, policy={"rule": None, "search": {}, "model": "../model"}, costs=FREE, sizing=sizing)
        decided = walked(path)[0].walk.decided
        assert decided.asked_again().intents.tobytes() == decided.intents.tobytes()
        # Without lots, caps and impact an account of another size is the same account in other units.
        tiny, large = capacity(decided, [1e6, 1e8]).sizes
        assert tiny.total_return == pytest.approx(large.total_return, rel=1e-4)


def test_networks_that_watch_one_account_have_a_signal_together_and_none_alone(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        artefact(tmp_path / name, {"policy": {"account": SEEN}}, seeds=(seed,))
    members = [{"model": "a", "weight": 0.6}, {"model": "b", "weight": 0.4}]
    ran, _ = walked(write_study(tmp_path, policy={"rule": None, "search": {}, "ensemble": members}))
    together, *alone = signals_of(ran).values()
    wanted = together["AAA"].value
    assert len(wanted) == ran.walk.decided.last - ran.walk.decided.first
    assert len(set(wanted[~np.isnan(wanted)])) > 2
    assert len(alone) == 2 and all("one account that all members share" in one for one in alone)
