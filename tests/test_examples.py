import json
from pathlib import Path

import pandas as pd
import pytest

import wfbt
from tests.runs import PARQUET
from wfbt.config.load import load_strategy
from wfbt.data.synthetic import write_sample

ROOT = Path(__file__).resolve().parents[1]
ALL = sorted((ROOT / "examples").glob("*.yaml"))
TRAINED = [path for path in ALL if any(line.strip() == "train:" for line in path.read_text().splitlines())]
"""Those that need the extra [rl], and a test of their own."""
EXAMPLES = [path for path in ALL if path not in TRAINED]
# Half a year is enough to see that everything runs; the sample's 1 m bars are its last sixty days.
SHORT = ("data.start=2025-01-01", "folds.train=60d", "folds.embargo=24h")
FEW = ("monte_carlo={replays: 30, paths: 200, horizon: 30d, sizes: [1, 2]}",)
SHORTER = {"momentum": (), "twap": ()}

METRICS = {
    *("sharpe", "sortino", "calmar", "annual_return", "total_return", "max_drawdown", "volatility", "win_rate"),
    *("profit_factor", "trades", "avg_trade", "avg_holding_hours", "exposure", "turnover"),
}
KEYS = {
    *("run_id", "schema_version", "folds", "oos", "benchmark", "costs", "walk_forward_efficiency", "trials", "leakage"),
    *("regimes", "volatility", "robustness", "stress", "overfitting", "monte_carlo", "ruin", "capacity", "decay"),
    "timing",
}
FOLD = {
    *("index", "train_start", "train_end", "test_start", "test_end", "params", "in_sample", "out_of_sample"),
}


@pytest.fixture(scope="module")
def sample():
    """The sample market where the examples look for it."""
    folder = ROOT / "datasets" / "sample"
    if not (folder / "news.parquet").exists():
        write_sample(folder)
    return folder


def short(path, out, **options):
    overrides = [*SHORTER.get(path.stem, SHORT), "robustness=null", *FEW, *options.pop("overrides", ())]
    return wfbt.run(path, folds=2, overrides=overrides, out=out, **options)


def check_numbers(told):
    """A missing number is null with a reason beside it; nothing else is null."""
    assert told.keys() >= METRICS
    assert {key for key, value in told.items() if value is None} == set(told["reasons"])


def check_result(result, folder):
    told = json.loads((folder / "result.json").read_text())
    assert told.keys() >= KEYS
    assert {key for key, value in told.items() if value is None} == set(told["reasons"])
    assert told["costs"].keys() == {"fees", "spread", "impact", "funding", "liquidation"}
    for fold in told["folds"]:
        assert fold.keys() >= FOLD
        check_numbers(fold["in_sample"])
        check_numbers(fold["out_of_sample"])
    check_numbers(told["oos"])
    check_numbers(told["benchmark"])
    parts = ("load", "walk_forward", "leakage", "robustness", "hardship", "monte_carlo", "report", "total")
    assert set(told["timing"]) == {"decision", *(f"{part}_s" for part in parts)}
    assert result.run_id == told["run_id"] == folder.name.rpartition("-")[2]


def test_there_are_examples():
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_to_the_end_and_adds_up(path, sample, tmp_path):
    result = short(path, tmp_path, report=False)
    result.ledger.reconcile()
    result.benchmark.reconcile()
    check_result(result, result.folder)
    assert len(result.folds) == 2
    assert len(result.ledger.fills) > 0
    symbols = set(result.config.data.symbols)
    assert set(pd.read_parquet(result.folder / "fills.parquet")["symbol"]) <= symbols
    assert {entry.name for entry in result.folder.iterdir()} == {
        *(f"{name}.parquet" for name in PARQUET),
        *("result.json", "manifest.json", "config.resolved.yaml"),
    }


def test_the_portfolio_trades_all_of_its_symbols_in_one_account(sample, tmp_path):
    result = short(ROOT / "examples" / "portfolio.yaml", tmp_path, report=False)
    assert set(result.ledger.trades()["symbol"]) == {"BTCUSDT", "ETHUSDT", "SOLUSDT"}
    assert result.ledger.gross_exposure.max() <= 2.0


def test_the_scalp_is_filled_on_its_minutes(sample, tmp_path):
    result = short(ROOT / "examples" / "momentum.yaml", tmp_path, report=False)
    assert any("execution bars fill the orders" in note for note in result.to_dict()["notes"])
    assert len(set(result.ledger.fills["ts"] // 60_000_000_000 % 60)) > 1


def test_no_two_examples_share_a_name():
    """Two examples of one name would be one family of trials."""
    names = [load_strategy(path).name for path in ALL]
    assert len(set(names)) == len(ALL)


@pytest.mark.slow
def test_the_flagship_with_its_full_report_leaves_the_promised_folder(sample, tmp_path):
    seen = []
    result = short(
        ROOT / "examples" / "ema_rsi_adx.yaml",
        tmp_path,
        overrides=["policy.search={fast: [8, 12]}"],
        progress=lambda what, done, total: seen.append((what, done, total)),
    )
    found = {path.relative_to(result.folder).as_posix() for path in result.folder.rglob("*") if path.is_file()}
    assert found == {
        *(f"{name}.parquet" for name in PARQUET),
        *("result.json", "manifest.json", "config.resolved.yaml", "index.html", "tearsheet.html"),
        *("folds/01/tearsheet.html", "folds/02/tearsheet.html"),
    }
    check_result(result, result.folder)
    page = (result.folder / "index.html").read_text()
    assert result.run_id in page
    assert page.count("tearsheet.html") >= 3
    for sheet in ("tearsheet.html", "folds/01/tearsheet.html"):
        assert "ema-rsi-adx" in (result.folder / sheet).read_text()
    assert ("tearsheets", 3, 3) in seen
    assert str(ROOT) not in page
    again = wfbt.run(result.folder / "config.resolved.yaml", out=tmp_path / "again", report=False)
    assert again.run_id == result.run_id
