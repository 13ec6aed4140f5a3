"""A small strategy around a rule, and what the leak tests say of it."""

import json

import numpy as np

from tests.data.parquet import START, bars_table, write
from tests.leaks.planted import HEADER
from tests.runs import hours, write_study
from wfbt.checks import check_lookahead
from wfbt.data.market import HOUR


def strategy(folder, source, **sections):
    """The path of a strategy whose rule is `rule` in `source`, one candidate, three folds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "own.py").write_text(HEADER + source)
    policy = {"rule": "own.py:rule", "search": {}} | sections.pop("policy", {})
    sections.setdefault("exits", {"take_atr": None})
    return write_study(folder, policy=policy, **sections)


def looked(folder, source, cuts=None, **sections):
    return check_lookahead(strategy(folder, source, **sections), cuts=cuts)


def two_symbols(folder, source):
    """The same with two symbols, AAA and BBB, of which the second has bars of its own."""
    path = strategy(folder, source)
    ts = START + HOUR * np.arange(len(hours()["close"]))
    write(folder / "other.parquet", bars_table(ts=ts, **hours(seed=8)))
    tree = json.loads(path.read_text())
    tree["data"]["symbols"]["BBB"] = {"bars": "other.parquet"}
    path.write_text(json.dumps(tree))
    return path
