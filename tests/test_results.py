"""What result.json says of costs follows from the run it describes."""

import pandas as pd
import pytest

import wfbt
from tests.runs import write_strategy, write_study


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return wfbt.run(write_study(folder), out=folder / "out", report=False)


@pytest.fixture(scope="module")
def told(done):
    return done.to_dict()


def test_causes_symbols_and_sessions_each_add_up_to_the_change_of_equity(done, told):
    split = told["attribution"]
    change = done.ledger.equity[-1] - done.ledger.opening_equity
    whole = split["by_cause"]
    scale = max(abs(whole[name]) for name in split["causes"])
    assert sum(whole[name] for name in split["causes"]) == pytest.approx(change, rel=0, abs=1e-9 * scale)
    for by in ("by_symbol", "by_session"):
        assert sum(row["net"] for row in split[by].values()) == pytest.approx(change, rel=0, abs=1e-9 * scale)
        assert sum(row["fills"] for row in split[by].values()) == whole["fills"] == len(done.ledger.fills)


def test_the_attribution_charges_what_the_costs_say(told):
    whole = told["attribution"]["by_cause"]
    for name, paid in told["costs"].items():
        assert whole[name] == pytest.approx(-paid, rel=1e-9), name
    assert whole["delay"] != 0
    taken = -sum(whole[name] for name in ("delay", "spread", "impact", "fees"))
    assert whole["cost_bps"] == pytest.approx(taken / whole["traded"] * 1e4)


def test_what_orders_cost_against_arrival_and_what_the_insurance_bore_have_names_of_their_own(done, told):
    ledger, orders = done.ledger, told["events"]["orders"]
    parents = ledger.orders_frame().set_index("order")["arrival"]
    fills = ledger.fills[[number in parents.index for number in ledger.fills["parent"]]]
    against = fills["qty"] * (fills["price"] - parents[fills["parent"]].to_numpy())
    assert orders["implementation_shortfall"] == pytest.approx(against.sum(), rel=1e-9)
    assert against.sum() > 0
    assert "shortfall" not in orders
    assert told["events"]["shortfall"] == ledger.shortfall.sum()


def test_the_ladder_ends_at_the_run_itself(told):
    steps = told["realism"]["ladder"]
    assert [step["step"] for step in steps] == [
        "ideal", "fees and spread", "latency", "impact", "funding", "caps", "as configured",
    ]  # fmt: skip
    for name in ("sharpe", "annual_return", "total_return", "max_drawdown", "trades"):
        assert steps[-1][name] == told["oos"][name]
    assert steps[0]["change"] is None
    assert steps[0]["reasons"]["change"] == "no step comes before it"
    assert steps[0]["total_return"] != steps[-1]["total_return"]


def test_a_step_for_which_nothing_was_given_says_for_which_symbol(told, tmp_path):
    """Without a funding file the step changes nothing, which must not read as funding that cost nothing."""
    assert {step["note"] for step in told["realism"]["ladder"]} == {""}
    path = write_study(tmp_path, data={"symbols": {"AAA": {"bars": "bars.parquet"}}})
    bare = wfbt.run(path, out=tmp_path / "out", report=False).to_dict()["realism"]["ladder"]
    assert {step["step"]: step["note"] for step in bare if step["note"]} == {"funding": "none was given for AAA"}


def test_buy_and_hold_of_an_account_in_the_coin_is_said_to_hold_no_contract(told, tmp_path):
    def benchmark(result):
        return next(one["note"] for one in result["assumptions"] if one["key"] == "benchmark")

    symbol = {"bars": "bars.parquet", "contract": {"inverse": True, "multiplier": 1}}
    coin = wfbt.run(write_study(tmp_path, data={"symbols": {"AAA": symbol}}), out=tmp_path / "out", report=False)
    assert not len(coin.benchmark.fills)
    assert benchmark(coin.to_dict()) == "the account is in the coin, so to hold it is to hold no contract"
    assert "equal parts" in benchmark(told)


def test_the_break_even_is_a_number_or_has_a_reason(told):
    found = told["realism"]["break_even"]
    for name in ("multiple", "bps", "paid_bps"):
        assert found[name] is not None or found["reasons"][name]
    configured = next(one for one in found["tried"] if one["multiple"] == 1.0)
    assert configured["total_return"] == pytest.approx(told["oos"]["total_return"], rel=1e-9)


def test_a_rule_that_never_trades_costs_nothing_and_has_no_break_even(tmp_path):
    (tmp_path / "sleep.py").write_text("import numpy as np\n\ndef sleep(bars):\n    return np.zeros(len(bars))\n")
    path = write_study(tmp_path, policy={"rule": "sleep.py:sleep", "search": {}})
    result = wfbt.run(path, out=tmp_path / "out", report=False).to_dict()
    whole = result["attribution"]["by_cause"]
    assert (whole["net"], whole["fills"], whole["cost_bps"]) == (0.0, 0, None)
    assert whole["reasons"]["cost_bps"] == "nothing was traded"
    assert result["realism"]["break_even"]["reasons"]["multiple"] == "it never traded"


def test_the_assumptions_say_how_orders_are_worked_and_what_they_may_take(tmp_path):
    tiers = [{"volume": 0, "maker_bps": 1, "taker_bps": 4}, {"volume": 1e6, "maker_bps": -0.5, "taker_bps": 2}]
    study = write_study(
        tmp_path,
        costs={"fee_tiers": tiers, "participation": {"order": 0.01, "hour": None}},
        orders={"schedule": {"model": "twap", "over": "4h", "slices": 4}},
        limits={"gross": 1.5, "cvar": {"most": 0.2, "act": "refuse"}},
    )
    told = wfbt.run(study, out=tmp_path / "out", report=False).to_dict()
    said = {one["key"]: one["value"] for one in told["assumptions"]}
    assert said["fees"] == "4 to 2 bps taker, 1 to -0.5 bps maker, by the value of 30 days"
    assert said["size"] == "0.01 of a row's volume by order"
    assert said["orders"] == "at least 30s apart, at most 10 of a symbol open, twap (over 4h, slices 4)"
    assert said["margin"] == "cross, 0.005 maintenance"
    assert said["limits"] == "gross 1.5 (cap), cvar 0.2 (refuse)"


def test_what_nothing_limits_is_said_to_be_free(tmp_path):
    study = write_study(
        tmp_path, costs={"participation": None}, orders={"min_interval": "0s", "max_open": None}, limits=None
    )
    said = {one["key"]: one["value"] for one in wfbt.run(study, out=tmp_path, report=False).to_dict()["assumptions"]}
    assert (said["size"], said["orders"]) == ("orders fill whole", "at once and whole")
    assert said["limits"] == "none on exposure"


def test_a_symbol_without_the_margin_tiers_that_others_have_is_named(tmp_path):
    write_study(tmp_path)
    bare = {"bars": "bars.parquet"}
    symbols = {"AAA": bare | {"tiers": [{"maintenance": 0.01}]}, "BBB": bare}
    told = wfbt.run(write_strategy(tmp_path, data={"symbols": symbols}), out=tmp_path / "out", report=False).to_dict()
    note = "BBB: no margin tiers are given, so account.maintenance 0.005 holds for any notional"
    assert note in told["notes"]


def test_an_order_with_nothing_left_to_do_is_not_called_filled(tmp_path):
    """A bid that is taken back before it is reached leaves a second order that finds no position to close."""
    (tmp_path / "rules.py").write_text(
        "import numpy as np\nimport pandas as pd\n\n"
        "def bids(bars):\n"
        "    target = np.where(np.arange(len(bars)) // 12 % 2 == 0, 1.0, 0.0)\n"
        "    limit = np.where(target == 1, bars['close'] * 0.5, np.nan)\n"
        "    return pd.DataFrame({'target': target, 'limit': limit}, index=bars.index)\n"
    )
    study = write_study(tmp_path, policy={"rule": "rules.py:bids", "search": {}}, exits=None)
    told = wfbt.run(study, out=tmp_path / "out", report=False).to_dict()["events"]["orders"]
    assert told["unfilled"] == told["sent"] > 20
    assert "filled" not in told["outcomes"]
    assert told["outcomes"]["nothing to do"] + told["outcomes"]["replaced"] >= told["sent"] - 1
    assert sum(told["unfilled_by_outcome"].values()) == told["unfilled"]


def test_fees_that_stand_in_tiers_alone_are_costs_that_have_a_break_even(tmp_path):
    costs = {"maker_bps": 0, "taker_bps": 0, "half_spread_bps": 0, "impact": None}
    costs["fee_tiers"] = [{"volume": 0, "maker_bps": 2, "taker_bps": 5}]
    told = wfbt.run(write_study(tmp_path, costs=costs), out=tmp_path / "out", report=False).to_dict()
    found = told["realism"]["break_even"]
    assert told["costs"]["fees"] > 0
    assert found["paid_bps"] == pytest.approx(5, rel=0.5)
    assert "no trading cost is configured" not in str(found["reasons"])


def test_a_stop_column_without_a_number_leaves_the_exits_section_in_force_and_a_note_says_so(told, tmp_path):
    (tmp_path / "rules.py").write_text(
        "import numpy as np\nimport pandas as pd\n\n"
        "def swings(bars, stop=None):\n"
        "    target = np.where(np.arange(len(bars)) // 12 % 2 == 0, 1.0, 0.0)\n"
        "    out = pd.DataFrame({'target': target}, index=bars.index)\n"
        "    return out if stop is None else out.assign(stop=np.nan if stop == 0 else bars['close'] * stop)\n"
    )
    notes, fills = {}, {}
    for stop in (None, 0, 0.02):
        params = {} if stop is None else {"stop": stop}
        policy = {"rule": "rules.py:swings", "params": params, "search": {}}
        name = write_study(tmp_path, policy=policy, exits={"stop_atr": None, "take_atr": None, "stop_pct": 0.01})
        done = wfbt.run(name, out=tmp_path / "out", report=False)
        fills[stop] = done.ledger.fills_frame()
        notes[stop] = [note for note in done.to_dict()["notes"] if "exits section" in note]
    pd.testing.assert_frame_equal(fills[None], fills[0])
    assert (fills[0]["reason"] == "stop").sum() > (fills[0.02]["reason"] == "stop").sum() > 0
    assert [len(notes[stop]) for stop in (None, 0, 0.02)] == [0, 1, 0]
    assert notes[0][0].startswith("AAA: the policy's stop had no number yet")


def test_accounts_that_a_drawdown_limit_stopped_say_when_in_training_too_and_that_replays_do_not_compare(tmp_path):
    study = write_study(tmp_path, limits={"max_drawdown": 0.05})
    told = wfbt.run(study, out=tmp_path / "out", report=False).to_dict()
    stops = [rung["stopped"] for rung in told["realism"]["ladder"]]
    assert stops[-1] == told["events"]["stopped"] is not None
    days = {stop and (pd.Timestamp(stop) - pd.Timedelta(1, "ns")).date() for stop in stops}
    assert told["realism"]["stopped_apart"] == ("the drawdown limit" if len(days) > 1 else "")
    for fold in told["folds"]:
        deep = fold["in_sample"]["max_drawdown"] >= 0.05
        assert (fold["training_stopped"] is not None) == deep
        assert ("training_stopped" in fold["reasons"]) != deep
