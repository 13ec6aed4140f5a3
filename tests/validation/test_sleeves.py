import json
import math

import numpy as np
import pandas as pd
import pytest

import wfbt
from tests.data.parquet import START, bars_table, funding_table, write
from tests.runs import hours, numbers, write_strategy
from wfbt.config.load import load_strategy
from wfbt.data.market import HOUR
from wfbt.errors import ConfigError, PolicyError
from wfbt.validation.sleeves import netted
from wfbt.validation.walk_forward import rows_of

TRAIN, FOLDS = 60, 3
RULES = """
import numpy as np
import pandas as pd

def wave(bars, side=1.0, length=20):
    frames = bars if isinstance(bars, dict) else {"": bars}
    said = {s: pd.Series(side * np.sign(np.sin(np.arange(len(f)) / length)), index=f.index) for s, f in frames.items()}
    return said if isinstance(bars, dict) else said[""]

def late(bars):
    target = pd.Series(np.nan, index=bars.index)
    target.iloc[1700:2000:100] = [0.5, -0.5, 0.4]
    return target

def either(bars, reach=0.02):
    turn = np.arange(len(bars)) // 24 % 2 == 0
    side = np.where(turn, 1.0, -1.0)
    move = reach * bars["close"]
    return pd.DataFrame({"target": side, "trigger": bars["close"] + side * move, "other": -side,
                         "other_trigger": bars["close"] - side * move}, index=bars.index)

def idle(bars):
    return pd.Series(0.0, index=bars.index)
"""
SYMBOLS = {
    symbol: {"bars": f"{symbol}.parquet", "funding": f"{symbol}_funding.parquet", "contract": {"tick": 0.01}}
    for symbol in ("AAA", "BBB")
}
NO_LIMITS = {"exits": None, "account": {"cash": 10000, "leverage": 4}, "costs": {"participation": None}}


def policy(rule, search=None, **params):
    return {"rule": rule, "params": params, "search": search or {}}


LONG = {"policy": policy("rules.py:wave", side=1.0), "symbols": ["AAA"], "weight": 0.5}
SHORT = {"policy": policy("rules.py:wave", side=-1.0), "symbols": ["AAA"], "weight": 0.5}
TREND = {"policy": policy("sma_cross", {"fast": [4, 8], "slow": [24, 36]})}
FADE = {"policy": policy("zscore", {"n": [24, 48]}, z=1.5), "symbols": ["AAA"]}
FIXED = {"method": "fixed"}


def lay_data(folder, first=None, second=None):
    """Two symbols on one clock, with funding, and the rules."""
    for symbol, bars in (("AAA", first or hours(seed=3)), ("BBB", second or hours(seed=4))):
        ts = START + HOUR * np.arange(len(bars["close"]))
        write(folder / f"{symbol}.parquet", bars_table(ts=ts, **bars))
        stamps = ts[::8]
        write(
            folder / f"{symbol}_funding.parquet",
            funding_table(ts=stamps, rate=1e-4 * np.sin(np.arange(len(stamps)) / 5), mark_price=bars["open"][::8]),
        )
    (folder / "rules.py").write_text(RULES)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return lay_data(tmp_path_factory.mktemp("data"))


def strategy(folder, members=None, allocation=None, netting=False, name="small.yaml", **sections):
    """A strategy file of sleeves beside the data; of one policy where `members` is None."""
    if "data" not in sections:
        traded = {s for one in (members or {}).values() for s in one.get("symbols", SYMBOLS)} or {"AAA"}
        sections["data"] = {"symbols": {symbol: SYMBOLS[symbol] for symbol in sorted(traded)}}
    if members is not None:
        sections |= {
            "policy": None,
            "sleeves": {"members": members, "allocation": allocation or {}, "netting": netting},
        }
    return write_strategy(folder, name, **sections)


def run(path, out, **options):
    return wfbt.run(path, out=out, report=False, **options)


def run_sleeves(data, out, members, allocation=None, netting=False, **sections):
    return run(strategy(data, members, allocation, netting, **sections), out)


@pytest.fixture(scope="module")
def shared(data, tmp_path_factory):
    """Two sleeves that search, on two symbols, netted and not."""
    members = {"fade": FADE, "trend": TREND}
    made = {}
    for netting in (True, False):
        out = tmp_path_factory.mktemp("out")
        made[netting] = run_sleeves(data, out, members, {"method": "hrp"}, netting, **NO_LIMITS)
    return made


# One position or several


def test_either_leg_of_an_order_is_on_the_sleeves_share_of_the_account(data, tmp_path):
    quarter = {"policy": policy("rules.py:either"), "symbols": ["AAA"], "weight": 0.25}
    whole = NO_LIMITS | {"costs": {"participation": None}}
    ledger = run_sleeves(data, tmp_path, {"only": quarter}, FIXED, **whole).ledger
    weight = np.abs(ledger.position[:, 0] * ledger.mark[:, 0] / ledger.equity)
    assert len(ledger.fills) > 20
    assert {1, -1} == set(np.sign(ledger.position[:, 0])) - {0}
    assert weight.max() < 0.3


def test_two_opposite_sleeves_that_are_netted_trade_nothing(data, tmp_path):
    result = run_sleeves(data, tmp_path, {"long": LONG, "short": SHORT}, FIXED, netting=True, **NO_LIMITS)
    assert len(result.ledger.fills) == 0
    assert set(result.ledger.equity) == {10000.0}


def test_two_opposite_sleeves_that_are_not_netted_pay_both(data, tmp_path):
    result = run_sleeves(data, tmp_path, {"long": LONG, "short": SHORT}, FIXED, **NO_LIMITS)
    ledger = result.ledger
    assert ledger.symbols == ("AAA@long", "AAA@short")
    long, short = (ledger.fills[ledger.fills["asset"] == a] for a in range(2))
    # They change sides at the same bars, and their orders travel for the same time.
    assert len(long) == len(short) > 10
    np.testing.assert_array_equal(long["ts"], short["ts"])
    assert (np.sign(long["qty"]) == -np.sign(short["qty"])).all()
    assert long["fee"].sum() > 0 and short["fee"].sum() > 0
    assert ledger.equity[-1] < 10000 - 0.9 * ledger.fills["fee"].sum()


def test_orders_of_two_sleeves_in_one_symbol_at_one_bar_meet_the_same_price(data, tmp_path):
    twin = LONG | {"policy": policy("rules.py:wave", side=1.0)}
    result = run_sleeves(data, tmp_path, {"one": LONG, "two": twin}, FIXED, **NO_LIMITS)
    fills = result.ledger.fills
    one, two = (fills[fills["asset"] == a] for a in range(2))
    assert len(one) > 10
    for name in ("ts", "reference", "arrival"):
        np.testing.assert_array_equal(one[name], two[name])
    # A delay inside the bar moved them off its open.
    assert len(set(one["ts"] % HOUR)) > 5


@pytest.mark.parametrize("netting", [True, False])
@pytest.mark.parametrize("rule", ["sma_cross", "ema_rsi_adx"])
def test_one_sleeve_with_the_whole_account_is_the_policy_alone(data, tmp_path, netting, rule):
    own = policy(rule, {"fast": [4, 8], "slow": [24, 36]})
    plain = run(strategy(data, policy=own), tmp_path)
    sleeve = {"only": {"policy": own, "symbols": ["AAA"], "weight": 1.0}}
    alone = run_sleeves(data, tmp_path, sleeve, FIXED, netting)
    assert len(plain.ledger.fills) > 10
    np.testing.assert_array_equal(alone.ledger.fills, plain.ledger.fills)
    np.testing.assert_array_equal(alone.ledger.equity, plain.ledger.equity)
    for ours, theirs in zip(alone.folds, plain.folds, strict=True):
        assert ours.params == {f"only.{key}": value for key, value in theirs.params.items()}
        np.testing.assert_array_equal(ours.in_sample.equity, theirs.in_sample.equity)
        np.testing.assert_array_equal(ours.out_of_sample.equity, theirs.out_of_sample.equity)
        best = theirs.trial.chosen
        for name in ("train_returns", "test_returns", "round_trips"):
            np.testing.assert_array_equal(getattr(ours.trial, name)[0], getattr(theirs.trial, name)[best])


def test_two_halves_of_one_strategy_netted_trade_as_the_whole(data, tmp_path):
    plain = run(strategy(data, policy=policy("rules.py:wave"), **NO_LIMITS), tmp_path)
    halves = dict.fromkeys(("one", "two"), LONG)
    result = run_sleeves(data, tmp_path, halves, FIXED, netting=True, **NO_LIMITS)
    np.testing.assert_array_equal(result.ledger.fills, plain.ledger.fills)
    np.testing.assert_array_equal(result.ledger.equity, plain.ledger.equity)


def test_a_sleeve_that_has_not_spoken_counts_as_nothing_in_the_net_position(data, tmp_path):
    late = {"policy": policy("rules.py:late"), "symbols": ["AAA"], "weight": 0.5}
    whole = NO_LIMITS | {"costs": {"participation": None}}
    result = run_sleeves(data, tmp_path, {"late": late, "long": LONG}, FIXED, netting=True, **whole)
    ledger = result.ledger
    row = np.arange(len(ledger.ts)) + TRAIN * 24
    late_says = np.select([row < 1700, row < 1800, row < 1900], [0.0, 0.25, -0.25], 0.2)
    net = 0.5 * np.sign(np.sin(row / 20)) + late_says
    decided = np.append(0, np.flatnonzero(np.diff(net)) + 1)
    # Its last word, in the first fold, stands through the others.
    assert {0.25, 0.5, 0.75, 0.7} <= set(np.round(np.abs(net), 12))
    expected = net[decided] * ledger.equity[decided] / ledger.mark[decided, 0]
    np.testing.assert_allclose(ledger.position[decided + 1, 0], expected, rtol=1e-9)
    assert len(ledger.fills) == len(decided)


@pytest.mark.parametrize("seed", range(5))
def test_the_net_target_is_the_sum_of_what_stands_named_where_any_sleeve_speaks(seed):
    rng = np.random.default_rng(seed)
    targets = rng.choice([np.nan, -0.3, 0.1, 0.2], (3, 40))
    carried = [0.0, 0.2, -0.3]
    got, stands = netted(list(targets), carried)
    last = list(carried)
    for t in range(40):
        spoke = False
        for s in range(3):
            if not math.isnan(targets[s, t]):
                last[s], spoke = targets[s, t], True
        assert got[t] == round(sum(last), 12) if spoke else math.isnan(got[t])
    assert stands == last


def test_what_cancels_but_for_rounding_is_nothing():
    got, _ = netted([np.array([0.1]), np.array([0.2]), np.array([-0.3])], [0.0] * 3)
    assert got.tolist() == [0.0]


# Brackets


def test_a_member_with_brackets_cannot_be_netted_with_another_on_its_symbol(data, tmp_path):
    bracketed = {"policy": policy("ema_rsi_adx"), "symbols": ["AAA"], "weight": 0.5}
    with pytest.raises(ConfigError, match=r"sleeves\.netting: bracketed puts out stop and take for AAA") as told:
        run_sleeves(data, tmp_path, {"bracketed": bracketed, "long": LONG}, FIXED, netting=True)
    assert "set netting false" in str(told.value)
    assert list(tmp_path.iterdir()) == []
    # On a symbol of its own, or not netted, it may.
    other = LONG | {"symbols": ["BBB"]}
    for members, netting in (({"bracketed": bracketed, "long": other}, True), ({"b": bracketed, "long": LONG}, False)):
        fills = run_sleeves(data, tmp_path, members, FIXED, netting).ledger.fills_frame()
        own = fills[fills["symbol"].isin(["AAA", "AAA@b"])]
        assert {"stop", "take"} <= set(own["reason"])


def test_the_exits_of_the_file_are_those_of_the_net_position(data, tmp_path):
    members = {"one": LONG, "two": LONG | {"policy": policy("rules.py:wave", length=35)}}
    tight = {"exits": {"stop_atr": None, "take_atr": None, "stop_pct": 0.02}, "account": NO_LIMITS["account"]}
    ledger = run_sleeves(data, tmp_path, members, FIXED, netting=True, **tight).ledger
    stopped = ledger.fills[ledger.fills["reason"] == 2]
    assert len(stopped) > 0
    # A stop closes everything that is held of the symbol.
    rows = np.searchsorted(ledger.ts, stopped["ts"], side="right")
    held = ledger.position[rows, 0]
    assert (held == 0).any()


# Weights


def test_weights_are_fitted_on_training_rows_only(tmp_path):
    members = {"fade": FADE, "trend": TREND}
    folds = {"count": 1, "train": "60d"}
    weights = {}
    # Training ends an embargo of a day before the test.
    for name, first_changed in (("as it was", None), ("test", TRAIN * 24), ("training", 30 * 24)):
        folder = tmp_path / name
        folder.mkdir()
        first, second = hours(seed=3), hours(seed=4)
        if first_changed is not None:
            for bars in (first, second):
                wild = hours(seed=99)
                for column in ("open", "high", "low", "close"):
                    bars[column][first_changed:] = 50.0 * wild[column][first_changed:] / wild["open"][first_changed]
        lay_data(folder, first, second)
        (fold,) = run_sleeves(folder, tmp_path / "out", members, {"method": "hrp"}, folds=folds).folds
        weights[name] = [one.weight for one in fold.sleeves]
    assert weights["test"] == weights["as it was"]
    assert weights["training"] != weights["as it was"]


def test_a_sleeve_searches_as_if_it_had_the_account_to_itself(data, shared, tmp_path):
    own = run(strategy(data, policy=FADE["policy"], **NO_LIMITS), tmp_path)
    for result in shared.values():
        for ours, theirs in zip(result.folds, own.folds, strict=True):
            fade = next(one for one in ours.sleeves if one.name == "fade")
            assert fade.params == theirs.params
            np.testing.assert_allclose(fade.trial.train_returns, theirs.trial.train_returns, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(fade.trial.scores, theirs.trial.scores, rtol=1e-9)


def test_weights_are_the_methods_on_the_chosen_candidates_training_returns(shared):
    from wfbt.validation.allocation import weights

    for result in shared.values():
        for fold in result.folds:
            chosen = [one.trial.train_returns[one.trial.chosen] for one in fold.sleeves]
            expected = weights(np.stack(chosen, axis=1), "hrp")
            assert [one.weight for one in fold.sleeves] == expected.tolist()
            assert 0.999 < sum(expected) <= 1.0 + 1e-12
    # Whether positions are netted has no part in it.
    for one, two in zip(shared[True].folds, shared[False].folds, strict=True):
        assert [s.weight for s in one.sleeves] == [s.weight for s in two.sleeves]


def test_a_sleeve_that_never_moved_in_training_gets_nothing_and_the_result_says_so(data, tmp_path):
    idle = {"policy": policy("rules.py:idle"), "symbols": ["AAA"]}
    result = run_sleeves(data, tmp_path, {"fade": FADE, "idle": idle}, {"method": "min_variance"})
    assert [[one.weight for one in fold.sleeves] for fold in result.folds] == [[1.0, 0.0]] * FOLDS
    assert any(note.startswith("idle: weight 0 in folds 1, 2, 3") for note in result.to_dict()["notes"])


def test_days_before_a_sleeves_first_bar_look_like_no_risk_and_the_result_says_so(tmp_path):
    """A symbol listed in the middle of training has no returns before, which is not the same as none of note."""
    folder = lay_data(tmp_path)
    bars, ts = hours(seed=4), START + HOUR * np.arange(len(hours()["close"]))
    write(folder / "BBB.parquet", bars_table(ts=ts[480:], **{name: column[480:] for name, column in bars.items()}))
    members = {"fade": FADE, "late": {"policy": policy("rules.py:wave"), "symbols": ["BBB"]}}
    told = run_sleeves(folder, tmp_path / "out", members, {"method": "inverse_volatility"}).to_dict()
    (note,) = [one for one in told["notes"] if "counts the training days" in one]
    assert note.startswith("late: the first bar of BBB closes 2024-01-21T01:00:00Z; the weight of fold 1 counts the")
    named = {name: one | {"weight": 0.5} for name, one in members.items()}
    fixed = run_sleeves(folder, tmp_path / "out", named, FIXED).to_dict()
    assert not [one for one in fixed["notes"] if "the first bar of" in one]


@pytest.mark.parametrize("method", ["inverse_volatility", "min_variance", "hrp"])
def test_of_fewer_than_thirty_days_no_weights_are_fitted(data, tmp_path, method):
    members = {"one": {"policy": policy("sma_cross", fast=4, slow=24)}, "two": {"policy": policy("zscore")}}
    short = {"count": 3, "train": "25d"}
    with pytest.raises(
        ConfigError, match=rf"fold 1: sleeves.allocation.method {method} needs at least 30 days.*had 24"
    ):
        run_sleeves(data, tmp_path, members, {"method": method}, folds=short)
    assert list(tmp_path.iterdir()) == []
    weighed = {name: one | {"weight": 0.4} for name, one in members.items()}
    assert len(run_sleeves(data, tmp_path, weighed, FIXED, folds=short).folds) == 3


# What a result holds


def test_profits_by_sleeve_add_up_to_the_change_of_equity(shared):
    result = shared[False]
    told = result.to_dict()["sleeves"]
    members = told["members"]
    assert set(members) == {"fade", "trend"}
    total = sum(one["profit"] for one in members.values()) + told["insurance"]
    assert total == pytest.approx(result.ledger.equity[-1] - 10000, rel=1e-9)
    for one in members.values():
        assert one["profit"] == pytest.approx(sum(one["profit_by_symbol"].values()), rel=1e-12)
        assert one["return"] == one["profit"] / 10000
    assert list(members["trend"]["profit_by_symbol"]) == ["AAA", "BBB"]
    assert list(members["fade"]["profit_by_symbol"]) == ["AAA"]
    assert set(pd.read_parquet(result.folder / "fills.parquet")["symbol"]) == {"AAA@fade", "AAA@trend", "BBB@trend"}
    assert any("AAA: sleeves that trade it" in note for note in result.to_dict()["notes"])


def test_a_netted_account_says_that_its_profit_belongs_to_no_sleeve_and_shows_each_alone(data, shared, tmp_path):
    told = shared[True].to_dict()["sleeves"]
    for one in told["members"].values():
        assert {key for key, value in one.items() if value is None} == set(one["reasons"])
        assert "netted" in one["reasons"]["profit"]
    own = run(strategy(data, policy=FADE["policy"], **NO_LIMITS), tmp_path)
    alone = told["members"]["fade"]["alone"]
    assert alone["total_return"] == pytest.approx(own.to_dict()["oos"]["total_return"], rel=1e-9)


@pytest.mark.parametrize("netting", [True, False])
def test_result_json_holds_weights_and_choices_of_every_fold(shared, netting):
    result = shared[netting]
    told = json.loads((result.folder / "result.json").read_text())["sleeves"]
    assert told["netting"] is netting
    assert [fold["index"] for fold in told["folds"]] == [1, 2, 3]
    for fold, kept in zip(told["folds"], result.folds, strict=True):
        assert fold["weights"] == {one.name: one.weight for one in kept.sleeves}
        assert fold["params"] == {one.name: dict(one.params) for one in kept.sleeves}
        train, period = slice(*rows_of(kept.fold.train)), HOUR
        closes = START + HOUR * (1 + np.arange(24 * 120))[train]
        assert pd.Timestamp(fold["fitted_on"]["start"]).value == closes[0] - period
        assert pd.Timestamp(fold["fitted_on"]["end"]).value == closes[-1]
        assert fold["fitted_on"]["days"] == 59


def test_every_candidate_of_every_sleeve_is_kept(shared):
    for result in shared.values():
        frame = pd.read_parquet(result.folder / "candidates.parquet")
        assert frame.groupby(["fold", "sleeve"]).size().to_dict() == {
            (fold, sleeve): count for fold in (1, 2, 3) for sleeve, count in (("fade", 2), ("trend", 4))
        }
        assert (frame.groupby(["fold", "sleeve"])["chosen"].sum() == 1).all()
        assert [fold["candidates"] for fold in result.to_dict()["folds"]] == [6] * FOLDS


def test_every_account_of_sleeves_adds_up(shared):
    for result in shared.values():
        result.ledger.reconcile()
        for fold in result.folds:
            fold.in_sample.reconcile()
            fold.out_of_sample.reconcile()
        ends = [fold.out_of_sample.equity[-1] for fold in result.folds]
        assert ends[-1] == result.ledger.equity[-1]


@pytest.mark.parametrize("netting", [True, False])
def test_sleeves_rerun_from_the_run_folder_on_other_threads_to_the_same_bytes(shared, tmp_path, netting):
    done = shared[netting]
    again = run(done.folder / "config.resolved.yaml", tmp_path, jobs=1)
    assert again.run_id == done.run_id
    assert numbers(again.folder) == numbers(done.folder)


def test_an_interrupted_run_of_sleeves_takes_up_every_sleeves_folds(data, shared, tmp_path):
    seen = []

    def stop(what, done, total):
        seen.append(what)
        if what.startswith("trend: fold 2"):
            raise KeyboardInterrupt

    path = strategy(data, {"fade": FADE, "trend": TREND}, {"method": "hrp"}, **NO_LIMITS)
    with pytest.raises(KeyboardInterrupt):
        run(path, tmp_path, progress=stop)
    seen.clear()
    done = run(path, tmp_path, resume=True, progress=lambda what, done, total: seen.append(what))
    taken = [what.partition(" taken")[0] for what in seen if "taken from the interrupted run" in what]
    assert taken == ["fade: fold 1", "fade: fold 2", "fade: fold 3", "trend: fold 1", "trend: fold 2"]
    assert numbers(done.folder) == numbers(shared[False].folder)


# The section of the strategy file


@pytest.mark.parametrize(
    ("sleeves", "message"),
    [
        ({"members": {}}, "sleeves.members must have at least 1 entry"),
        ({"members": {"a-b": LONG}}, "sleeves.members.a-b must be the name of a sleeve"),
        ({"members": {"a": {"symbols": ["AAA"]}}}, "sleeves.members.a.policy is required"),
        ({"members": {"a": {"policy": {"rule": "x", "serch": {}}}}}, "did you mean search?"),
        ({"members": {"a": LONG | {"symbols": ["CCC"]}}, "allocation": FIXED}, "must be of data.symbols (AAA, BBB)"),
        ({"members": {"a": LONG | {"symbols": []}}, "allocation": FIXED}, "symbols must have at least 1 entry"),
        ({"members": {"a": LONG | {"symbols": ["AAA", "AAA"]}}}, "must not list a symbol twice"),
        ({"members": {"a": LONG}, "allocation": FIXED}, "data.symbols must each be traded by a sleeve"),
        ({"members": {"a": LONG}}, "has a weight for a, but allocation.method inverse_volatility fits the weights"),
        ({"members": {"a": TREND}, "allocation": FIXED}, "with allocation.method fixed needs a weight for a"),
        (
            {"members": {name: LONG | {"weight": 0.4} for name in "abc"}, "allocation": FIXED},
            "must have weights that add up to at most 1, not 1.2",
        ),
        (
            {"members": {"a": LONG}, "allocation": FIXED | {"max_weight": 0.4}},
            "above allocation.max_weight (0.4) for a",
        ),
        ({"members": {"a": LONG | {"weight": 1.5}}, "allocation": FIXED}, "weight must be <= 1"),
        ({"members": {"a": TREND}, "allocation": {"method": "hpr"}}, "did you mean hrp?"),
    ],
)
def test_a_mistake_in_sleeves_is_named(data, sleeves, message):
    path = write_strategy(data, "wrong.yaml", policy=None, sleeves=sleeves, data={"symbols": SYMBOLS})
    with pytest.raises(ConfigError) as told:
        load_strategy(path)
    assert message in str(told.value)
    assert "wrong.yaml: " in str(told.value)


def test_a_strategy_has_a_policy_or_sleeves_and_not_both(data):
    both = strategy(data, {"a": LONG}, FIXED, name="both.yaml")
    tree = json.loads(both.read_text()) | {"policy": {"rule": "sma_cross"}}
    both.write_text(json.dumps(tree))
    with pytest.raises(ConfigError, match="policy and sleeves exclude each other: keep one of them"):
        load_strategy(both)
    with pytest.raises(ConfigError, match="policy is required"):
        load_strategy(write_strategy(data, "none.yaml", policy=None))


def test_what_is_wrong_with_the_rule_of_a_sleeve_is_told_where_it_stands(data, tmp_path):
    wrong = {"a": {"policy": policy("sma_cross", fats=4)}}
    with pytest.raises(ConfigError, match=r"sleeves\.members\.a\.policy\.params\.fats is not a parameter of sma_cross"):
        run_sleeves(data, tmp_path, wrong)
    short = {"a": {"policy": policy("sma_cross", {"fast": [40, 50]}, slow=30)}}
    words = (
        r"sleeves\.members\.a\.policy\.search: the rule refuses all 2 candidates, the first with slow 30, fast 40; sea"
    )
    with pytest.raises(ConfigError, match=words):
        run_sleeves(data, tmp_path, short)
    lone = {"a": {"policy": policy("correlation"), "symbols": ["AAA"]}}
    with pytest.raises(PolicyError, match=r"sleeves\.members\.a\.policy: correlation: it trades two different symbols"):
        run_sleeves(data, tmp_path, lone)
    unknown = {"a": {"policy": policy("momentumm")}}
    with pytest.raises(PolicyError, match=r"sleeves\.members\.a\.policy\.rule: momentumm is no built-in rule, did you"):
        run_sleeves(data, tmp_path, unknown)


# A real market


def test_sleeves_on_bitcoin_and_ether_walk_three_folds_and_add_up(real_data, tmp_path):
    symbols = {
        symbol: {
            "bars": str(real_data / "bars" / f"{symbol}_perp_1h.parquet"),
            "funding": str(real_data / "funding" / f"{symbol}_perp_funding.parquet"),
            "mark": str(real_data / "mark" / f"{symbol}_perp_mark_1h.parquet"),
            "contract": {"tick": tick, "lot": 0.001},
        }
        for symbol, tick in (("BTCUSDT", 0.1), ("ETHUSDT", 0.01))
    }
    members = {
        "carry": {"policy": policy("carry", {"n": [72, 168]}), "symbols": ["BTCUSDT"]},
        "reversion": {"policy": policy("zscore", {"n": [48, 96]}), "symbols": ["ETHUSDT"]},
        "trend": {"policy": policy("sma_cross", {"fast": [24, 48], "slow": [96, 192]})},
    }
    (tmp_path / "out").mkdir()
    results = {}
    for netting in (True, False):
        path = strategy(
            tmp_path,
            members,
            {"method": "min_variance", "max_weight": 0.7},
            netting,
            data={"start": "2024-01-01", "end": "2025-01-01", "symbols": symbols},
            folds={"count": FOLDS, "train": "120d"},
            exits=None,
            account={"cash": 100000, "leverage": 2},
        )
        results[netting] = run(path, tmp_path / "out")
    for result in results.values():
        result.ledger.reconcile()
        assert len(result.ledger.fills) > 30
        for fold in result.folds:
            weights = [one.weight for one in fold.sleeves]
            assert sum(weights) == pytest.approx(1.0, rel=1e-9) and max(weights) <= 0.7 + 1e-12
    told = results[False].to_dict()["sleeves"]
    total = sum(one["profit"] for one in told["members"].values()) + told["insurance"]
    assert total == pytest.approx(results[False].ledger.equity[-1] - 100000, rel=1e-9)
    # Netting only leaves out what sleeves would trade with one another.
    assert results[True].ledger.traded.sum() < results[False].ledger.traded.sum()


@pytest.mark.parametrize("method", ["min_variance", "hrp"])
def test_a_covariance_of_which_shrinkage_leaves_nothing_is_said(method, data, tmp_path):
    """Two alike sleeves on independent prices: two of three samples are all noise, and the weights equal."""
    members = {name: TREND | {"symbols": [symbol]} for name, symbol in (("one", "AAA"), ("two", "BBB"))}

    def told(shrink):
        result = run_sleeves(data, tmp_path, members, {"method": method, "shrink": shrink}, **NO_LIMITS)
        return result.walk.folds, [note for note in result.to_dict()["notes"] if "allocation.shrink" in note]

    folds, (note,) = told(True)
    assert note.startswith("folds 1, 2: training returns tell so little")
    for fold in folds[:2]:
        assert [share.weight for share in fold.sleeves] == pytest.approx([0.5, 0.5], rel=1e-6)
    assert 0 < folds[2].shrinkage < 1
    assert folds[2].sleeves[0].weight != pytest.approx(0.5, rel=0.05)
    folds, notes = told(False)
    assert notes == [] and {fold.shrinkage for fold in folds} == {0.0}
