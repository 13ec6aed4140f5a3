"""A zoo of rules that look ahead, all of which `wfbt check lookahead` has to find, and of rules that only seem to."""

import inspect
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from tests.leaks.zoo import innocent, orders, targets
from tests.leaks.zoo.studies import write_strategy
from tests.leaks.zoo.table import LEAKS
from tests.runs import beside_the_ledger, hours
from wfbt import cli

pytestmark = pytest.mark.slow

UNSEEN = {
    "reads_the_market_file": "a file that the rule opens itself is the same whatever bars it is given",
}
MARKETS = {"lagged_pair": "two", "news_as_told": "news"}
FEWER_FOLDS = {"folds": {"count": 2}}
INNOCENT = {
    name: rule
    for name, rule in vars(innocent).items()
    if callable(rule) and rule.__module__ == innocent.__name__ and name != "trend"
}
OF_BARS = [
    pytest.param(rule, id=name)
    for name, rule in INNOCENT.items()
    if not inspect.isclass(rule) and name not in MARKETS and name != "funding_settled"
]
COMMON = [
    pytest.param(getattr({"targets": targets, "orders": orders}[leak.file], leak.rule), id=leak.name)
    for leak in LEAKS
    if leak.file in ("targets", "orders") and leak.share >= 0.05
]
SHARED = Path("/dev/shm")
REFUSED = (
    "next_close",
    "once_a_week",
    "stop_beyond_the_low_to_come",
    "only_the_second",
    "PeekingTargets",
    "remembers_in_the_module",
)


@pytest.fixture(autouse=True)
def _nothing_is_remembered_beyond_a_test(monkeypatch, tmp_path):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("ZOO_DAYS", "")
    monkeypatch.setattr(np, "longest", (), raising=False)
    yield
    (SHARED / "wfbt-zoo.npy").unlink(missing_ok=True)


def call(*words):
    return CliRunner().invoke(cli.main, [str(word) for word in words])


def planted(folder, leak):
    return write_strategy(folder, leak.file, leak.rule, leak.market, **leak.sections)


def marked(leak):
    marks = [pytest.mark.xfail(strict=True, reason=UNSEEN[leak.name])] if leak.name in UNSEEN else []
    return pytest.param(leak, id=leak.name, marks=marks)


def said(rule, bars):
    return np.asarray(rule(bars.copy()), float).reshape(len(bars), -1)


def differing(rule):
    """Cuts at which the last decision is another than with what follows, by recomputing whole prefixes."""
    frame = hours()
    index = pd.date_range("2024-01-01 01:00", periods=len(frame["close"]), freq="1h", tz="UTC")
    bars = pd.DataFrame(frame, index=index)
    full = said(rule, bars)
    cuts = range(320, len(bars), 37)
    return [
        cut
        for cut in cuts
        if not np.allclose(said(rule, bars[: cut + 1])[-1], full[cut], rtol=0, atol=1e-12, equal_nan=True)
    ]


@pytest.mark.parametrize("rule", COMMON)
def test_a_plant_does_look_ahead(rule):
    assert differing(rule)


@pytest.mark.parametrize("rule", OF_BARS)
def test_an_innocent_rule_does_not_look_ahead(rule):
    assert not differing(rule)


@pytest.mark.parametrize("leak", [marked(leak) for leak in LEAKS])
def test_a_planted_leak_is_found_and_named(tmp_path, leak):
    if leak.rule == "remembers_in_shared_memory" and not SHARED.is_dir():
        pytest.skip("there is no /dev/shm here")
    found = call("check", "lookahead", planted(tmp_path / "study", leak), "--json")
    assert found.exit_code == 3, found.output
    text = json.loads(found.stdout)["leak"]["text"]
    assert text.startswith(f"{leak.column} of {leak.symbol} at ")


@pytest.mark.parametrize("leak", [pytest.param(leak, id=leak.name) for leak in LEAKS if leak.name in REFUSED])
def test_a_run_that_looks_ahead_is_refused_and_leaves_nothing(tmp_path, leak):
    out = tmp_path / "reports"
    refused = call("run", planted(tmp_path / "study", leak), "--out", out, "--no-report", "--quiet")
    assert refused.exit_code == 3, refused.output
    assert f"{leak.column} of {leak.symbol} at " in refused.stderr
    assert not out.exists() or beside_the_ledger(out) == []


@pytest.mark.parametrize("name", INNOCENT)
def test_an_innocent_rule_is_never_accused(tmp_path, name):
    sections = FEWER_FOLDS if inspect.isclass(INNOCENT[name]) else {}
    path = write_strategy(tmp_path / "study", "innocent", name, MARKETS.get(name, "one"), **sections)
    found = call("check", "lookahead", path, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["leak"] is None
