import fcntl
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import wfbt
from tests.runs import DAYS, PARQUET, beside_the_ledger, hours, numbers, write_strategy, write_study

TRAIN, EMBARGO, FOLDS, CANDIDATES = 60 * 24, 24, 3, 6
FILES = {*(f"{name}.parquet" for name in PARQUET), "result.json", "config.resolved.yaml", "manifest.json"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    """One finished run that nothing disturbed, with its page."""
    return wfbt.run(study, out=tmp_path_factory.mktemp("done"), jobs=1)


@pytest.fixture(scope="module")
def table(done):
    return {name: pd.read_parquet(done.folder / f"{name}.parquet") for name in PARQUET}


def again(strategy, out, **options):
    return wfbt.run(strategy, out=out, report=False, **options)


# The same bytes


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_rerun_on_any_number_of_threads_gives_the_same_bytes(study, done, tmp_path, jobs):
    result = again(study, tmp_path, jobs=jobs)
    assert result.run_id == done.run_id
    assert numbers(result.folder) == numbers(done.folder)


def test_a_rerun_into_the_same_folder_replaces_the_run_and_leaves_nothing_beside_it(study, done, tmp_path):
    for _ in range(2):
        result = again(study, tmp_path)
    assert [entry.name for entry in beside_the_ledger(tmp_path)] == [result.folder.name]
    assert {entry.name for entry in result.folder.iterdir()} == FILES
    assert numbers(result.folder) == numbers(done.folder)


def test_every_replay_of_a_run_uses_the_one_compiled_kernel(study, tmp_path):
    code = (
        "import sys, wfbt; from wfbt.kernels.bars import replay; "
        "wfbt.run(sys.argv[1], out=sys.argv[2], report=False); print(len(replay.signatures))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(study), str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == "1"


def test_the_page_is_the_same_again(study, done, tmp_path):
    result = wfbt.run(study, out=tmp_path, jobs=2)
    assert (result.folder / "index.html").read_bytes() == (done.folder / "index.html").read_bytes()


def test_a_copy_of_the_files_run_from_elsewhere_by_another_process_gives_the_same_bytes(study, done, tmp_path):
    moved = tmp_path / "moved" / "deep"
    shutil.copytree(study.parent, moved)
    command = [sys.executable, "-c", "from wfbt.cli import main; main()", "run", "deep/small.yaml", "--no-report"]
    told = subprocess.run(
        [*command, "--out", "out", "--quiet"],
        cwd=moved.parent,
        env=os.environ | {"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == f"out/{done.folder.name}"
    assert numbers(moved.parent / told.stdout.strip()) == numbers(done.folder)


def test_comments_and_the_order_of_keys_do_not_make_another_run(study, done, tmp_path):
    tree = json.loads(study.read_text())
    tree["data"]["symbols"]["AAA"] |= {key: str(study.parent / f"{key}.parquet") for key in ("bars", "funding", "mark")}
    turned = tmp_path / "turned.yaml"
    turned.write_text("# not part of the strategy\n" + json.dumps(dict(reversed(tree.items()))))
    assert again(turned, tmp_path / "out").run_id == done.run_id


def test_the_resolved_config_in_a_run_folder_runs_to_the_same_bytes(done, tmp_path):
    result = again(done.folder / "config.resolved.yaml", tmp_path)
    assert numbers(result.folder) == numbers(done.folder)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 6},
        {"overrides": ["costs.taker_bps=5.1"]},
        {"overrides": ["policy.search.fast=[4, 8]"]},
        {"overrides": ["data.end=2024-04-29"]},
        {"folds": 2},
        {"scheme": "anchored"},
    ],
    ids=str,
)
def test_whatever_is_asked_for_differently_is_another_run(study, done, tmp_path, change):
    assert again(study, tmp_path, **change).run_id != done.run_id


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume"])
def test_one_changed_number_in_one_bar_is_another_run(done, tmp_path, column):
    bars = hours()
    # Kept possible: a high only rises, a low only falls, what lies between is moved inside.
    bars[column][1000] = {
        "open": bars["close"][1000],
        "high": np.nextafter(bars["high"][1000], np.inf),
        "low": np.nextafter(bars["low"][1000], 0),
        "close": np.nextafter(bars["close"][1000], bars["open"][1000]),
        "volume": bars["volume"][1000] + 1,
    }[column]
    assert again(write_study(tmp_path, bars), tmp_path / "out").run_id != done.run_id


def test_an_edited_rule_is_another_run_and_a_copy_of_it_is_not(study, tmp_path):
    text = "def rule(bars, n=24):\n    return (bars['close'].pct_change(n) > 0).astype(float)\n"
    policy = {"rule": "mine.py:rule", "search": {"n": [12, 24]}}
    ids = []
    for name, source in (("a", text), ("b", text), ("c", text.replace("> 0", ">= 0"))):
        folder = tmp_path / name
        shutil.copytree(study.parent, folder)
        (folder / "mine.py").write_text(source)
        ids.append(again(write_strategy(folder, policy=policy), tmp_path / "out").run_id)
    assert ids[0] == ids[1] != ids[2]


def test_the_seed_moves_fills_through_latency(study, done, tmp_path):
    other = again(study, tmp_path, seed=6)
    assert not np.array_equal(other.ledger.fills["price"], done.ledger.fills["price"])


# What a result holds


def test_the_ledger_of_a_result_adds_up(done):
    done.ledger.reconcile()
    for one in done.folds:
        one.in_sample.reconcile()
        one.out_of_sample.reconcile()


def test_result_json_is_what_the_object_says(done):
    assert json.loads((done.folder / "result.json").read_text()) == json.loads(json.dumps(done.to_dict()))


def test_the_run_is_worth_testing(done):
    """Fees alone would prove little: it traded long and short, was stopped, took profit and paid funding."""
    result = done.to_dict()
    assert result["events"]["fills"].keys() >= {"stop", "take", "target"}
    assert all(result["costs"][name] != 0 for name in ("fees", "spread", "impact", "funding"))
    assert {"long", "short"} == set(done.ledger.trades()["direction"])


def test_the_equity_table_ends_where_result_json_says(done, table):
    equity, oos, result = table["equity"], done.to_dict()["oos"], done.to_dict()
    assert equity["equity"].iloc[-1] / 10000 - 1 == pytest.approx(oos["total_return"], rel=1e-12)
    assert equity["benchmark"].iloc[-1] / 10000 - 1 == pytest.approx(result["benchmark"]["total_return"], rel=1e-12)
    assert equity["drawdown"].max() == pytest.approx(oos["max_drawdown"], rel=1e-12)
    assert equity["timestamp"].iloc[-1] == pd.Timestamp(result["folds"][-1]["test_end"])
    assert (equity["position_AAA"] != 0).mean() == pytest.approx(oos["exposure"], rel=1e-12)


def test_costs_are_the_sums_of_the_tables(done, table):
    costs, fills, equity = done.to_dict()["costs"], table["fills"], table["equity"]
    for name, column in (("fees", "fee"), ("spread", "spread"), ("impact", "impact")):
        assert costs[name] == pytest.approx(fills[column].sum(), rel=1e-12)
    for name in ("fees", "funding", "liquidation"):
        assert costs[name] == pytest.approx(equity[name].sum(), rel=1e-12)
    trips = table["trades"]
    for name in ("fees", "spread", "impact", "funding", "liquidation"):
        assert trips[name].sum() == pytest.approx(costs[name], rel=1e-9)


def test_fills_add_up_to_positions_and_trades_to_equity(done, table):
    fills, trades, equity = table["fills"], table["trades"], table["equity"]
    signed = fills["qty"] * np.where(fills["side"] == "buy", 1, -1)
    place = np.searchsorted(equity["timestamp"].to_numpy(), fills["timestamp"].to_numpy(), side="right")
    held = np.cumsum(np.bincount(place, weights=signed, minlength=len(equity)))
    np.testing.assert_allclose(equity["position_AAA"], held, atol=1e-9)
    cash = 10000 - np.cumsum(
        np.bincount(place, weights=signed * fills["price"] + fills["fee"], minlength=len(equity)) + equity["funding"]
    )
    np.testing.assert_allclose(equity["cash"], cash, rtol=1e-9)
    assert trades["profit"].sum() == pytest.approx(equity["equity"].iloc[-1] - 10000, rel=1e-9)
    assert (~trades["open"]).sum() == done.to_dict()["oos"]["trades"]
    assert sum(done.to_dict()["events"]["fills"].values()) == len(fills)


def test_no_fill_is_better_than_its_reference_and_none_precedes_its_order(table):
    fills = table["fills"]
    assert (fills["slippage"][fills["liquidity"] == "taker"] > 0).all()
    assert fills["timestamp"].is_monotonic_increasing
    assert (fills[["fee", "spread", "impact"]] >= 0).all(axis=None)


def test_every_candidate_of_every_fold_is_kept_with_its_returns(done, table):
    kept = table["candidates"]
    assert len(kept) == FOLDS * CANDIDATES
    assert (kept.groupby("fold")["chosen"].sum() == 1).all()
    for _, fold in kept.groupby("fold"):
        assert fold["candidate"].tolist() == list(range(CANDIDATES))
        assert fold["params"].nunique() == CANDIDATES
        assert {len(returns) for returns in fold["train_returns"]} == {60 - 1}  # a day of embargo
        assert {len(returns) for returns in fold["test_returns"]} == {(DAYS - 60) // FOLDS}
        assert all(np.isfinite(returns).all() for name in ("train", "test") for returns in fold[f"{name}_returns"])
    params = [json.loads(text) for text in kept["params"][kept["chosen"]]]
    assert params == [dict(one["params"]) for one in done.to_dict()["folds"]]


def test_folds_tile_the_span_and_train_stays_clear_of_test(done):
    edges = []
    for index, one in enumerate(done.folds):
        (train,), (test,) = one.fold.train, one.fold.test
        assert (one.fold.index, one.fold.purge, one.fold.embargo) == (index, 0, EMBARGO)
        assert train.stop + EMBARGO == test.start
        assert train.start == test.start - TRAIN
        edges += [test.start, test.stop]
    assert edges[0] == TRAIN
    assert edges[-1] == 24 * DAYS == TRAIN + len(done.ledger.ts)
    assert edges[1:-1:2] == edges[2::2]
    for told in done.to_dict()["folds"]:
        gap = pd.Timestamp(told["test_start"]) - pd.Timestamp(told["train_end"])
        assert gap == pd.Timedelta(hours=EMBARGO)


def test_purge_and_embargo_both_come_out_of_train(study, tmp_path):
    result = again(study, tmp_path, overrides=["folds.purge=5h", "folds.embargo=7h"])
    for one in result.folds:
        assert one.fold.train[0].stop + 12 == one.fold.test[0].start
        assert (one.fold.purge, one.fold.embargo) == (5, 7)


@pytest.mark.parametrize("objective", ["sharpe", "sortino", "calmar", "annual_return", "total_return"])
def test_each_fold_chooses_its_best_candidate_and_looks_at_training_returns_only(study, tmp_path, objective):
    result = again(study, tmp_path, overrides=[f"folds.objective={objective}"])
    kept = pd.read_parquet(result.folder / "candidates.parquet")
    for _, fold in kept.groupby("fold"):
        ((_, chosen),) = fold[fold["chosen"]].iterrows()
        mine = [score_by_hand(objective, returns) for returns in fold["train_returns"]]
        np.testing.assert_allclose(fold[objective], mine, rtol=1e-10)
        assert chosen[objective] == fold[objective].max()


def score_by_hand(objective, returns):
    wealth = np.cumprod(1 + returns)
    yearly = wealth[-1] ** (365 / len(returns)) - 1
    if objective == "sharpe":
        return returns.mean() / returns.std(ddof=1) * 365**0.5
    if objective == "sortino":
        return returns.mean() / np.sqrt((returns.clip(max=0) ** 2).mean()) * 365**0.5
    if objective == "calmar":
        peaks = np.maximum.accumulate(np.r_[1.0, wealth])
        return yearly / (1 - np.r_[1.0, wealth] / peaks).max()
    return yearly if objective == "annual_return" else wealth[-1] - 1


def test_the_screen_of_a_candidate_and_its_full_ledger_agree(done):
    for one in done.folds:
        chosen = one.trial.train_returns[one.trial.chosen]
        np.testing.assert_allclose(one.in_sample.returns_daily(), chosen, rtol=0, atol=1e-12)
        sharpe = chosen.mean() / chosen.std(ddof=1) * 365**0.5
        assert one.in_sample.metrics()["sharpe"] == pytest.approx(sharpe, rel=1e-9)
        assert one.trial.round_trips[one.trial.chosen, 0] == one.in_sample.metrics()["trades"]


def test_the_first_fold_trades_as_its_candidate_did_alone(done):
    first = done.folds[0]
    np.testing.assert_allclose(
        first.out_of_sample.returns_daily(), first.trial.test_returns[first.trial.chosen], rtol=0, atol=1e-12
    )


def test_folds_are_one_continuous_account(done, table):
    equity = table["equity"]
    assert (equity.groupby("fold").size() == (DAYS - 60) // FOLDS * 24).all()
    for before, after in zip(done.folds, done.folds[1:], strict=False):
        assert after.out_of_sample.opening_equity == pytest.approx(before.out_of_sample.equity[-1], rel=1e-12)
        np.testing.assert_array_equal(after.out_of_sample.opening_position, before.out_of_sample.position[-1])
    growth = np.prod([1 + one["out_of_sample"]["total_return"] for one in done.to_dict()["folds"]])
    assert growth - 1 == pytest.approx(done.to_dict()["oos"]["total_return"], rel=1e-9)


@pytest.mark.parametrize("known", [0, 1])
def test_a_fold_does_not_depend_on_bars_after_its_test(done, tmp_path, known):
    cut = done.folds[known].fold.test[0].stop
    bars = hours()
    for name, other in hours(seed=99).items():
        bars[name][cut:] = other[cut:]
    changed = again(write_study(tmp_path, bars), tmp_path / "out")
    assert changed.run_id != done.run_id
    for old, new in zip(done.folds[: known + 1], changed.folds, strict=False):
        assert old.params == new.params
        for name in ("scores", "train_returns", "test_returns", "round_trips"):
            np.testing.assert_array_equal(getattr(old.trial, name), getattr(new.trial, name))
    rows = cut - TRAIN
    old, new = done.ledger.equity_frame(), changed.ledger.equity_frame()
    pd.testing.assert_frame_equal(old[:rows], new[:rows], check_exact=True)
    assert not np.array_equal(old["equity"][rows:], new["equity"][rows:])


def test_missing_numbers_are_null_with_a_reason(study, tmp_path):
    hold = ["policy.rule=buy_hold", "policy.search={}", "exits.stop_atr=null", "exits.take_atr=null"]
    result = again(study, tmp_path, folds=6, overrides=hold)
    for fold in result.to_dict()["folds"]:
        told = fold["out_of_sample"]
        assert told["sharpe"] is None
        assert told["reasons"]["sharpe"].startswith("10 days of returns")
        assert told["win_rate"] is None
        assert told["reasons"]["win_rate"]
    assert all(value is not None or key in result.to_dict()["reasons"] for key, value in result.to_dict().items())


# Killed and resumed


def runs(strategy, out, go, *, sheets=False):
    """In a process of its own: run once aside so that the kernels are loaded, say so, then run to be killed."""
    again(strategy, Path(out) / "warm")
    go.send(None)
    overrides = ["report.tearsheets=oos"] if sheets else []
    wfbt.run(strategy, out=Path(out) / "here", jobs=2, overrides=overrides)
    go.send(None)


def runs_until(strategy, out, calls):
    """In a process of its own: run, and die at the `calls`-th time something is made to last on the disk."""
    left = [calls]

    def deadly(function):
        def called(*args, **kwargs):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return called

    os.fsync, os.replace, os.rename, shutil.rmtree = map(deadly, (os.fsync, os.replace, os.rename, shutil.rmtree))
    wfbt.run(strategy, out=Path(out), jobs=1)


@pytest.fixture(scope="module")
def fresh():
    """Processes that are forked from one which has imported everything and started nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["wfbt.pipeline", "wfbt.report.page", "wfbt.kernels.bars"])
    return context


def killed(context, out, strategy, share, length, **options):
    """Kill a run after a `share` of its usual `length`; without them let it end.  The seconds it took."""
    ours, theirs = context.Pipe()
    process = context.Process(target=runs, args=(strategy, out, theirs), kwargs=options)
    process.start()
    theirs.close()
    ours.recv()
    begun = time.monotonic()
    if share is None:
        ours.recv()
    else:
        time.sleep(share * length)
    passed = time.monotonic() - begun
    process.kill()
    process.join()
    return passed


def absent_or_whole(out, done, files):
    """Nothing but the finished run may carry its name; true when it is there."""
    assert {entry.name for entry in beside_the_ledger(out) if not entry.name.startswith(".")} <= {
        done.folder.name,
        f"{done.folder.name}.partial",
    }
    final = out / done.folder.name
    if final.exists():
        assert {entry.name for entry in final.iterdir()} == files
        assert numbers(final) == numbers(done.folder)
    return final.exists()


def resumed(study, out, done, **options):
    result = wfbt.run(study, out=out, resume=True, **options)
    assert [entry.name for entry in beside_the_ledger(out)] == [done.folder.name]
    assert numbers(result.folder) == numbers(done.folder)
    assert (result.folder / "index.html").read_bytes() == (done.folder / "index.html").read_bytes()
    return result


@pytest.mark.slow
def test_a_run_killed_at_seventeen_random_instants_and_resumed_gives_the_same_bytes(study, done, tmp_path, fresh):
    usual = killed(fresh, tmp_path / "usual", study, None, None)
    rng = np.random.default_rng(20240401)
    finished = 0
    for number, share in enumerate(np.sort(rng.uniform(0.0, 1.0, 17))):
        out = tmp_path / str(number)
        killed(fresh, out, study, share, usual)
        (out / "here").mkdir(exist_ok=True)
        finished += absent_or_whole(out / "here", done, FILES | {"index.html"})
        resumed(study, out / "here", done)
    assert finished < 17


@pytest.mark.slow
def test_a_run_killed_while_its_tearsheet_is_written_and_resumed_gives_the_same_bytes(study, tmp_path, fresh):
    usual = killed(fresh, tmp_path / "usual", study, None, None, sheets=True)
    (folder,) = beside_the_ledger(tmp_path / "usual" / "here")
    whole = SimpleNamespace(folder=folder)
    for number, share in enumerate((0.4, 0.65, 0.9)):
        out = tmp_path / str(number)
        killed(fresh, out, study, share, usual, sheets=True)
        absent_or_whole(out / "here", whole, FILES | {"index.html", "tearsheet.html"})
        again = resumed(study, out / "here", whole, overrides=["report.tearsheets=oos"])
        assert (again.folder / "tearsheet.html").read_bytes() == (folder / "tearsheet.html").read_bytes()


@pytest.mark.slow
def test_a_run_killed_before_a_file_lasts_and_resumed_gives_the_same_bytes(study, done, tmp_path, fresh):
    rng = np.random.default_rng(8)
    # Three folds, the new ledger, seven files and a page, each synced, renamed and synced, then the folder itself.
    for calls in [*rng.choice(np.arange(1, 35), 8, replace=False).tolist(), 35, 36, 37]:
        out = tmp_path / str(calls)
        process = fresh.Process(target=runs_until, args=(study, out, calls))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        absent_or_whole(out, done, FILES | {"index.html"})
        resumed(study, out, done)


def test_a_resumed_run_does_not_try_finished_folds_again(study, done, tmp_path):
    seen = []

    def stop(what, fold, total):
        seen.append(what)
        if what.startswith("fold 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(study, tmp_path, progress=stop)
    (partial,) = (entry for entry in tmp_path.iterdir() if not entry.name.startswith("."))
    kept = {path: path.stat().st_mtime_ns for path in partial.rglob("*.npz")}
    assert len(kept) == 2
    poisoned = partial / ".trials" / "0000.npz"
    with np.load(poisoned) as values:
        changed = dict(values) | {"test_returns": values["test_returns"] * 0}
    np.savez(poisoned, **changed)
    result = again(study, tmp_path, resume=True)
    assert not result.folds[0].trial.test_returns.any()  # taken as kept, not computed
    np.testing.assert_array_equal(result.folds[1].trial.test_returns, done.folds[1].trial.test_returns)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a whole archive", b"\x80\x04."])
def test_a_damaged_memory_of_a_fold_is_computed_again(study, done, tmp_path, damage):
    partial = tmp_path / f"{done.folder.name}.partial" / ".trials"
    partial.mkdir(parents=True)
    (partial / "0000.npz").write_bytes(damage)
    assert numbers(again(study, tmp_path, resume=True).folder) == numbers(done.folder)


def test_without_resume_what_an_earlier_run_left_is_not_used(study, done, tmp_path):
    partial = tmp_path / f"{done.folder.name}.partial"
    (partial / ".trials").mkdir(parents=True)
    nothing = {
        "scores": np.zeros(6),
        "chosen": 5,
        "train_returns": np.zeros((6, 59)),
        "test_returns": np.zeros((6, 20)),
    }
    np.savez(partial / ".trials" / "0000.npz", **nothing, round_trips=np.zeros((6, 2), np.int64))
    (partial / "stray.txt").write_text("x")
    assert numbers(again(study, tmp_path).folder) == numbers(done.folder)
    assert [entry.name for entry in beside_the_ledger(tmp_path)] == [done.folder.name]


def test_two_processes_cannot_write_one_run(study, done, tmp_path):
    with (tmp_path / f".{done.folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(wfbt.WfbtError, match="another process is writing this very run"):
            again(study, tmp_path)
    assert numbers(again(study, tmp_path).folder) == numbers(done.folder)


def test_a_tearsheet_process_ends_with_the_run_that_started_it(tmp_path):
    """Or it would write into the folder of the run that takes over."""
    days = pd.date_range("2024-01-01", periods=90).strftime("%Y-%m-%d").tolist()
    returns = np.random.default_rng(1).normal(0, 0.01, 90).tolist()
    sheet = {"path": str(tmp_path / "sheet.html"), "title": "orphan", "periods_per_year": 365, "days": days}
    process = subprocess.Popen([sys.executable, "-m", "wfbt.report.sheets"], stdin=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps([sheet | {"strategy": returns, "benchmark": returns}] * 50) + "\n")
    process.stdin.close()
    assert process.wait(60) == 1
    assert len(list(tmp_path.iterdir())) <= 1  # killed in its first sheet, if it had begun


TIERS = [{"up_to": 500, "maintenance": 0.01}, {"maintenance": 0.1}]
VENUE = {"costs": {"fee_tiers": [{"volume": 0, "maker_bps": 1, "taker_bps": 4}]}, "symbols": {"AAA": {"tiers": TIERS}}}
WORKED = {
    "venue": {"venue": "binance-usdm"},
    "venue of one's own": {"venue": "mine.yaml"},
    "file of tiers": {"account": {"tiers": "tiers.yaml", "margin": "isolated", "traded": 1e6}},
    "schedule": {"orders": {"schedule": {"model": "vwap", "over": "6h", "slices": 6}, "max_open": 3}},
    "limits": {"limits": {"gross": 1.5, "cvar": {"most": 0.05, "act": "refuse"}, "correlated": 0.7, "window": 40}},
    "exits": {
        "exits": {"trail_atr": 3, "trail_follow": True, "ratchet": {"after": 1.5, "keep": 0.3}},
        "sizing": {"scale": {"volatility": 0.5}},
    },
}


@pytest.mark.parametrize("name", WORKED)
def test_the_resolved_strategy_alone_is_the_same_run_on_any_number_of_threads(name, tmp_path):
    """What a venue or a file of tiers said is spelled out, so neither file has to be there again."""
    study = write_study(tmp_path / "here", **WORKED[name])
    files = {tmp_path / "here" / "mine.yaml": VENUE, tmp_path / "here" / "tiers.yaml": {"AAA": TIERS, "BBB": TIERS}}
    for path, content in files.items():
        path.write_text(json.dumps(content))
    one = wfbt.run(study, out=tmp_path / "one", report=False, jobs=1)
    for path in files:
        path.unlink()
    again = wfbt.run(one.folder / "config.resolved.yaml", out=tmp_path / "again", report=False, jobs=2)
    assert again.run_id == one.run_id
    assert numbers(again.folder) == numbers(one.folder)
    assert len(one.ledger.fills) > 0
