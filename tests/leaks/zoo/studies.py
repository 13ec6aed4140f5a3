"""Markets for the zoo, and strategies that run its rules on them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa

from tests.data.parquet import START, bars_table, stamps, write
from tests.runs import DAYS, hours, write_study
from wfbt.data.market import HOUR

ZOO = Path(__file__).parent


def write_strategy(folder, file, rule, market="one", **sections):
    """The path of a strategy of one candidate and three folds that runs `rule` of the zoo's `file`.

    `market` is one of `one` symbol, `two` of them, `news` joined to one, and `coarse` bars beside its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ZOO / f"{file}.py", folder / "rules.py")
    policy = sections.pop("policy", {"rule": f"rules.py:{rule}", "search": {}})
    path = write_study(folder, policy=policy, **{"exits": {"take_atr": None}} | sections)
    tree = json.loads(path.read_text())
    if market == "two":
        ts = START + HOUR * np.arange(24 * DAYS)
        write(folder / "other.parquet", bars_table(ts=ts, **hours(seed=8)))
        tree["data"]["symbols"]["BBB"] = {"bars": "other.parquet"}
    elif market == "news":
        _write_news(folder / "news.parquet")
        tree["data"]["series"] = {"news": {"path": "news.parquet", "available": "published_at"}}
    elif market == "coarse":
        tree["data"]["timeframes"] = ["4h"]
    tree["policy"] = policy
    path.write_text(json.dumps(tree))
    return path


def _write_news(path):
    """A mood every three hours, told two hours after it was felt."""
    felt = START + 3 * HOUR * np.arange(8 * DAYS)
    mood = np.random.default_rng(4).normal(size=len(felt))
    write(path, pa.table({"felt_at": stamps(felt), "published_at": stamps(felt + 2 * HOUR), "mood": mood}))
