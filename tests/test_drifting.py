"""A run folder beside new data: the same policy goes on where the run ended, and what changed is found."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import wfbt
from tests.data.parquet import START, bars_table, write
from tests.learn.lessons import QUICK, write_lesson
from tests.models import artefact
from tests.runs import hours, write_study
from wfbt import cli
from wfbt.assembly import read_market, study_of
from wfbt.data.market import HOUR
from wfbt.drifting import Watch, drift_of
from wfbt.errors import ArtifactError, ConfigError, DataError
from wfbt.policies import policies_of
from wfbt.reopened import deployed, open_run, with_networks
from wfbt.validation.walk_forward import tested_rows as judged_rows

DAYS, WHOLE = 240, 340
"""Days of the run, and days in its files, which go on after its end."""
END = "2024-08-28"
OWN = """
import numpy as np

class Level:
    def fit(self, bars, quantile=0.5):
        self.level = bars["close"].pct_change(24).quantile(quantile)

    def targets(self, bars):
        return np.where(bars["close"].pct_change(24) < self.level, 0.5, -0.5)
"""
NOTHING = {"rule": None, "search": {}}
RULE = {"rule": "sma_cross", "params": {"fast": 4, "slow": 24}}
MEMBERS = {
    "trend": {"policy": {"rule": "sma_cross", "search": {"fast": [4, 8], "slow": [24]}}, "weight": 0.5},
    "back": {"policy": {"rule": "zscore", "search": {"n": [24, 48]}}, "weight": 0.4},
}


def sleeves(netting):
    return {
        "policy": None,
        "exits": {"atr": 14},
        "sleeves": {"members": MEMBERS, "allocation": {"method": "fixed"}, "netting": netting},
    }


KINDS = {
    "rule": {},
    "fitted rule": {"policy": {"rule": "own.py:Level", "search": {"quantile": [0.4, 0.6]}}},
    "hybrid": {"policy": NOTHING | {"hybrid": {"mode": "agree", "propose": RULE, "confirm": {"rule": "own.py:Level"}}}},
    "ensemble": {"policy": NOTHING | {"ensemble": [RULE | {"weight": 0.6}, {"rule": "own.py:Level", "weight": 0.4}]}},
    "rotation": {"policy": NOTHING | {"rotate": {"calm": RULE, "turbulent": None}}, "regimes": {"states": 2}},
    "model": {"policy": NOTHING | {"model": "model"}},
    "model that watches": {"policy": NOTHING | {"model": "watching"}},
    "hybrid with a model": {
        "policy": NOTHING | {"hybrid": {"mode": "veto", "propose": RULE, "confirm": {"model": "model"}}}
    },
    "sleeves, netted": sleeves(True),
    "sleeves, each its own": sleeves(False),
}


def laid(folder, **sections):
    """A strategy whose files go on for 100 days after its end."""
    (folder / "own.py").write_text(OWN)
    artefact(folder / "model", {"policy": {}}, seeds=(0, 1))
    artefact(folder / "watching", {"policy": {"account": ("position", "holding")}})
    data = {"end": END} | sections.pop("data", {})
    return write_study(folder, hours(WHOLE), data=data, **sections)


def ran(folder, **sections):
    return wfbt.run(laid(folder, **sections), out=folder / "reports", jobs=1, report=False).folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("drift"))


def data_of(run):
    return run.parents[1]


def call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def rewritten(run, folder, change):
    """The files of the run, their bars after `change(columns, new)`; `new` marks the rows after its end."""
    folder.mkdir()
    for name in ("bars", "mark", "funding"):
        table = pq.read_table(data_of(run) / f"{name}.parquet")
        if name == "bars":
            columns = {key: table[key].to_numpy().copy() for key in ("open", "high", "low", "close", "volume")}
            change(columns, np.arange(len(table)) >= 24 * DAYS)
            ts = START + HOUR * np.arange(len(table))
            table = bars_table(ts=ts, **columns)
        write(folder / f"{name}.parquet", table)
    return folder


def wilder(times):
    """Prices that move `times` as far on new rows."""

    def change(columns, new):
        step = np.diff(np.log(columns["close"]), prepend=np.log(columns["close"][0]))
        step[new] *= times
        close = columns["close"][0] * np.exp(np.cumsum(step))
        opens = np.r_[close[0], close[:-1]]
        reach = np.where(new, times, 1.0) * (columns["high"] / np.maximum(columns["open"], columns["close"]) - 1)
        columns |= {
            "open": opens, "close": close, "high": np.maximum(opens, close) * (1 + reach),
            "low": np.minimum(opens, close) * (1 - reach),
        }  # fmt: skip

    return change


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_last_fold_chose_decides_on_the_judged_rows_as_it_did_in_the_run(kind, tmp_path):
    folds = {"count": 1, "train": "60d", "embargo": "24h"}
    folder = ran(tmp_path, folds=folds, **KINDS[kind])
    again = open_run(folder, None)
    study, plan, _ = study_of(again.config, read_market(again.config), policies_of(again.config), 1)
    study = with_networks(again, study, plan[-1])
    account = deployed(again, study, plan[-1]).account(*judged_rows(plan))
    kept = pd.read_parquet(folder / "equity.parquet")["equity"].to_numpy()
    assert np.array_equal(account.equity, kept)
    assert len(account.fills) > 1
    found = drift_of(folder, tmp_path, jobs=1)
    json.dumps(found, allow_nan=False)
    assert found["new"]["days"] == WHOLE - DAYS
    assert [one["name"] for one in found["sheets"]] == [
        "market", *(["features"] if "model" in kind else []), "actions", "returns",
    ]  # fmt: skip
    assert all(one["verdict"] == "no evidence" for one in found["sheets"] if one["name"] in ("market", "features"))
    assert found["falls"]["threshold"] is None or found["falls"]["observed"] == WHOLE - DAYS


def test_a_market_that_goes_on_as_it_was_has_not_drifted(run):
    found = drift_of(run, data_of(run), jobs=1)
    # Positions last for days: half a year knows too few of them.
    verdicts = {one["name"]: one["verdict"] for one in found["sheets"]}
    assert verdicts == {"market": "no evidence", "actions": "too little data", "returns": "no evidence"}
    assert found["verdict"] == "too little data"
    assert found["sheets"][1]["reasons"]["verdict"].startswith("2 of 3 columns could not be judged")
    rows = [one["rows"] for one in found["sheets"]]
    assert rows[0] == rows[1] == {"reference": 24 * (DAYS - 60), "new": 24 * (WHOLE - DAYS)}
    assert rows[2] == {"reference": DAYS - 60, "new": WHOLE - DAYS}
    (overlap,) = [note for note in found["notes"] if "are rows of the run itself" in note]
    assert overlap.startswith(f"AAA: {24 * DAYS:,} bars before 2024-08-28T00:00:00Z")
    assert found == drift_of(run, data_of(run), jobs=2)


def test_twice_the_volatility_is_found(run, tmp_path):
    found = drift_of(run, rewritten(run, tmp_path / "wild", wilder(2.0)), jobs=1)
    sheets = {one["name"]: one for one in found["sheets"]}
    assert found["verdict"] == sheets["market"]["verdict"] == "drifted"
    moved = {line["column"] for line in sheets["market"]["lines"] if line["verdict"] == "drifted"}
    assert {"AAA size", "AAA range"} <= moved and "AAA funding" not in moved


def test_the_new_rows_decide_nothing_of_what_the_run_is_compared_by(run, tmp_path):
    plain = drift_of(run, data_of(run), jobs=1)
    wild = drift_of(run, rewritten(run, tmp_path / "wild", wilder(3.0)), jobs=1)
    assert plain["habits"]["AAA"]["reference"] == wild["habits"]["AAA"]["reference"]
    assert plain["falls"]["threshold"] == wild["falls"]["threshold"]
    assert plain["falls"]["delay"] == wild["falls"]["delay"]


def test_the_run_folder_is_left_as_it_was_and_the_report_goes_elsewhere(run, tmp_path):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    out = tmp_path / "told"
    result = call("drift", run, data_of(run), "--out", out, "--json", "--jobs", 1)
    told = json.loads(result.stdout)
    assert result.exit_code == {"drifted": 1, "no evidence": 0, "too little data": 4}[told["verdict"]]
    assert json.loads((out / "drift.json").read_text()) == told
    page = (out / "drift.html").read_text()
    assert "What the policy does" in page and "http:" not in page and "https:" not in page
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    refused = call("drift", run, data_of(run), "--out", run / "drift")
    assert refused.exit_code == 2 and "lies in the run folder" in refused.output


def test_every_null_has_its_reason(run):
    def walk(tree, path=""):
        if isinstance(tree, dict):
            reasons = tree.get("reasons", {})
            for key, value in tree.items():
                if value is None:
                    assert reasons.get(key), f"{path}.{key} is null without a reason"
                walk(value, f"{path}.{key}")
        elif isinstance(tree, list):
            for place, one in enumerate(tree):
                walk(one, f"{path}[{place}]")

    walk(drift_of(run, data_of(run), jobs=1))


def truncated(run, folder, rows, name="bars"):
    folder.mkdir()
    for one in ("bars", "mark", "funding"):
        table = pq.read_table(data_of(run) / f"{one}.parquet")
        write(folder / f"{one}.parquet", table.slice(0, rows if one in (name, "mark") else len(table)))
    return folder


def test_a_few_new_days_are_too_little_and_what_would_be_needed_is_said(run, tmp_path):
    folder = truncated(run, tmp_path / "few", 24 * DAYS + 24 * 5)
    result = call("drift", run, folder)
    assert result.exit_code == 4
    words = " ".join(result.output.split())
    assert "reach 5.0 days beyond those of the run; at least 14 are needed" in words
    told = json.loads(call("drift", run, folder, "--json").stdout)
    assert told["sheets"] is None and told["reasons"]["sheets"]


def test_data_without_a_new_row_are_no_new_data(run, tmp_path):
    result = call("drift", run, truncated(run, tmp_path / "old", 24 * DAYS))
    assert result.exit_code == 5 and "nothing is new" in result.output


def test_a_strategy_file_names_new_data_too(run, tmp_path):
    path = data_of(run) / "small.yaml"
    other = json.loads(path.read_text())
    other["data"]["end"] = "2024-11-01"
    longer = data_of(run) / "longer.yaml"
    longer.write_text(json.dumps(other))
    assert drift_of(run, longer, jobs=1)["new"]["end"] == "2024-11-01T00:00:00Z"
    with pytest.raises(DataError, match="the run's own data reach to 2024-08-28"):
        drift_of(run, path, jobs=1)


def test_live_equity_and_live_returns_stand_in_for_the_replay(run, tmp_path):
    days = pd.date_range("2024-08-27", periods=61, freq="D", tz="UTC") + pd.Timedelta("1D")
    returns = np.random.default_rng(1).normal(-0.06, 0.01, 60)
    equity = pd.DataFrame({"ts": days, "equity": 5000 * np.cumprod(np.r_[1.0, 1 + returns])})
    equity.to_csv(tmp_path / "equity.csv", index=False)
    told = drift_of(run, data_of(run), Watch(equity=tmp_path / "equity.csv"), jobs=1)
    assert told["account"] == "equity.csv"
    assert told["falls"]["observed"] == 60
    assert told["falls"]["verdict"] == told["verdict"] == "drifted"
    daily = pd.DataFrame({"date": days[:-1], "return": returns})
    daily.to_parquet(tmp_path / "returns.parquet")
    same = drift_of(run, data_of(run), Watch(equity=tmp_path / "returns.parquet"), jobs=1)
    assert same["falls"]["highest"] == pytest.approx(told["falls"]["highest"], rel=1e-9)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("ts,money\n2024-09-01,1\n", "one called equity or return"),
        ("ts,equity\n2024-09-01,1\n2024-09-01,2\n", "row 1: ts must increase"),
        ("ts,equity\n2024-09-01,1\n2024-09-02,-2\n", "row 1: equity must be > 0"),
        ("ts,return\n2024-09-01,none\n", "row 0: return must be a number"),
        ("ts,return\n2024-09-01,5\nsoon,1\n", "row 1: the time must be ISO 8601"),
        ("ts,return\n2024-09-01T01:00,1\n2024-09-01T02:00,1\n", "one return a day"),
        ("ts,equity\n2024-01-01,1\n2024-01-02,2\n", "has no day after"),
        ("", "cannot be read"),
    ],
)
def test_a_live_file_that_says_nonsense_is_refused_by_its_row(run, tmp_path, rows, said):
    (tmp_path / "live.csv").write_text(rows)
    result = call("drift", run, data_of(run), "--equity", tmp_path / "live.csv")
    assert result.exit_code == 5 and said in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.take(np.r_[np.arange(len(t) - 2), len(t) - 1, len(t) - 2]), "disorder"),
        (lambda t: t.set_column(4, "close", pa.array(np.r_[t["close"].to_numpy()[:-3], [np.nan] * 3])), "nan"),
        (lambda t: t.take(np.r_[np.arange(24 * DAYS), np.arange(24 * DAYS, len(t), 4)]), "period"),
        (lambda t: t.take(np.r_[np.arange(24 * DAYS + 100), np.arange(len(t) - 400, len(t))]), "missing"),
    ],
    ids=["unsorted", "nan", "another period", "holes"],
)
def test_new_data_that_break_a_rule_are_refused(run, tmp_path, spoil, said):
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for name in ("bars", "mark", "funding"):
        table = pq.read_table(data_of(run) / f"{name}.parquet")
        write(folder / f"{name}.parquet", spoil(table) if name == "bars" else table)
    result = call("drift", run, folder)
    assert result.exit_code == 5, result.output
    assert said in result.output.lower()


def test_a_folder_without_the_symbol_names_what_is_near(run, tmp_path):
    other = tmp_path / "AAB"
    other.mkdir()
    for name in ("bars", "mark", "funding"):
        write(other / f"{name}.parquet", pq.read_table(data_of(run) / f"{name}.parquet"))
    result = call("drift", run, tmp_path)
    assert result.exit_code == 2 and "holds no folder AAA, did you mean AAB?" in result.output
    (other / "funding.parquet").unlink()
    result = call("drift", run, other)
    assert result.exit_code == 2 and "has no funding.parquet" in " ".join(result.output.split())
    result = call("drift", run, other / "bars.parquet")
    assert result.exit_code == 2 and "was given funding of AAA too" in " ".join(result.output.split())
    assert call("drift", run, tmp_path / "nowhere").exit_code == 2


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "manifest.json").unlink(), "it has no manifest.json"),
        (lambda run: (run / "manifest.json").write_text("{"), "is no JSON"),
        (lambda run: (run / "manifest.json").write_text("{}"), "manifest.json has no run_id"),
        (
            lambda run: (run / "config.resolved.yaml").write_text(
                (run / "config.resolved.yaml").read_text().replace("taker_bps: 5", "taker_bps: 1")
            ),
            "is not what the run was made of",
        ),
        (
            lambda run: write(data_of(run) / "funding.parquet", pq.read_table(data_of(run) / "other.parquet")),
            "have changed since the run",
        ),
        (lambda run: (data_of(run) / "mark.parquet").unlink(), "cannot be read any more"),
        (lambda run: (data_of(run) / "own.py").write_text(OWN + "\n# edited\n"), "has changed since the run"),
    ],
    ids=[
        "no manifest",
        "broken manifest",
        "empty manifest",
        "edited config",
        "edited data",
        "lost data",
        "edited rule",
    ],
)
def test_a_run_folder_that_no_longer_is_what_it_was_is_refused(spoil, said, tmp_path):
    run = ran(tmp_path, folds={"count": 1}, **KINDS["fitted rule"])
    table = pq.read_table(tmp_path / "funding.parquet")
    write(tmp_path / "other.parquet", table.set_column(1, "rate", pa.array(2 * table["rate"].to_numpy())))
    spoil(run)
    result = call("drift", run, tmp_path)
    assert result.exit_code == 3, result.output
    assert said in " ".join(result.output.split())


def test_several_symbols_are_found_in_their_folders(tmp_path):
    bars = {name: hours(WHOLE, seed) for name, seed in (("AAA", 3), ("BBB", 4))}
    ts = START + HOUR * np.arange(24 * WHOLE)
    for name, columns in bars.items():
        (tmp_path / name).mkdir()
        write(tmp_path / name / "bars_1h.parquet", bars_table(ts=ts, **columns))
    symbols = {name: {"bars": f"{name}/bars_1h.parquet"} for name in bars}
    path = write_study(tmp_path, data={"symbols": symbols, "end": END}, folds={"count": 1})
    run = wfbt.run(path, out=tmp_path / "reports", jobs=1, report=False).folder
    found = drift_of(run, tmp_path, jobs=1)
    columns = {line["column"] for line in found["sheets"][0]["lines"]}
    assert columns == {f"{name} {what}" for name in bars for what in ("return", "size", "range", "volume")}
    assert set(found["habits"]) == {"AAA", "BBB"}
    flat = tmp_path / "flat"
    flat.mkdir()
    for name, columns in bars.items():
        write(flat / f"{name}.parquet", bars_table(ts=ts, **columns))
    assert drift_of(run, flat, jobs=1)["sheets"] == found["sheets"]
    with pytest.raises(ConfigError, match="is one file, and the run trades AAA, BBB"):
        drift_of(run, flat / "AAA.parquet", jobs=1)


def test_days_without_data_between_are_said(run, tmp_path):
    folder = tmp_path / "later"
    folder.mkdir()
    for name in ("bars", "mark", "funding"):
        table = pq.read_table(data_of(run) / f"{name}.parquet")
        first = 24 * (DAYS + 10)
        write(folder / f"{name}.parquet", table.slice(first // 8 if name == "funding" else first))
    found = drift_of(run, folder, jobs=1)
    assert "10.0 days lie between the run's data and the new: indicators reach across them" in found["notes"]
    assert not any("rows of the run itself" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("given", "said"),
    [({"level": 0.0}, "--level"), ({"fall": 0.0}, "--fall"), ({"horizon": 29}, "--horizon")],
)
def test_what_cannot_be_asked_is_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        Watch(**given)


def test_a_series_the_policy_hears_must_go_on(tmp_path):
    times = START + 6 * HOUR * np.arange(4 * WHOLE)
    values = np.random.default_rng(2).normal(0, 1, len(times))
    news = pa.table({"published_at": pa.array(times // 1000, pa.timestamp("us", tz="UTC")), "mood": values})
    pq.write_table(news, tmp_path / "news.parquet")
    given = {"news": {"path": "news.parquet", "available": "published_at"}}
    run = wfbt.run(laid(tmp_path, data={"series": given}), out=tmp_path / "reports", jobs=1, report=False).folder
    found = drift_of(run, tmp_path, jobs=1)
    assert "news" in {line["column"] for line in found["sheets"][0]["lines"]}
    place = tmp_path / "new"
    place.mkdir()
    for name in ("bars", "mark", "funding"):
        (place / f"{name}.parquet").write_bytes((tmp_path / f"{name}.parquet").read_bytes())
    with pytest.raises(ConfigError, match=r"was given the series news; put news\.parquet there"):
        drift_of(run, place, jobs=1)


def test_paths_of_a_run_that_is_none_are_refused(tmp_path):
    assert call("drift", tmp_path / "nowhere", tmp_path).exit_code == 2
    with pytest.raises(ArtifactError, match=r"is no run folder: it has no config\.resolved\.yaml"):
        drift_of(tmp_path, Path(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [
        {"train": QUICK},
        {"train": QUICK | {"account": ["position", "holding"]}},
        {"hybrid": {"mode": "veto", "propose": RULE, "confirm": {"train": QUICK}}},
    ],
    ids=["network", "network that watches", "network that confirms"],
)
def test_a_trained_network_is_the_one_of_the_last_fold_or_none(policy, tmp_path):
    pytest.importorskip("stable_baselines3", reason="training needs the extra [rl]")
    path = write_lesson(tmp_path, policy=policy, bars=hours(WHOLE), data={"end": END}, folds={"count": 1})
    store = tmp_path / "models"
    folder = wfbt.run(path, out=tmp_path / "reports", models=store, jobs=1, report=False).folder
    again = open_run(folder, store)
    study, plan, _ = study_of(again.config, read_market(again.config), policies_of(again.config), 1)
    study = with_networks(again, study, plan[-1])
    account = deployed(again, study, plan[-1]).account(*judged_rows(plan))
    assert np.array_equal(account.equity, pd.read_parquet(folder / "equity.parquet")["equity"].to_numpy())
    moved = store.rename(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match="name the folder of the run's networks with --models"):
        drift_of(folder, tmp_path, jobs=1)
    found = drift_of(folder, tmp_path, models=moved, jobs=1)
    (observed,) = [one for one in found["sheets"] if one["name"] == "features"]
    assert observed["against"].startswith("the training rows of the run's last fold")
    assert {line["column"] for line in observed["lines"]} == {"AAA rsi_14", "AAA return_4", "AAA volume_z_24"}
    assert observed["rows"] == {"reference": observed["rows"]["reference"], "new": 24 * (WHOLE - DAYS)}
    assert 0 < observed["rows"]["reference"] <= 60 * 24
    result = json.loads((folder / "result.json").read_text())
    (told,) = result["models"].values()
    told["each"][-1]["sha256"] = "0" * 64
    (folder / "result.json").write_text(json.dumps(result))
    with pytest.raises(ArtifactError, match="is not the network of the run's last fold"):
        drift_of(folder, tmp_path, models=moved, jobs=1)
