"""A small strategy on disk that runs from end to end in a fraction of a second."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.data.parquet import START, bars_table, funding_table, write
from wfbt.data.market import HOUR

DAYS = 120
PARQUET = ("equity", "daily", "fills", "trades", "orders", "events", "liquidations", "candidates")

# JSON is YAML too, and needs no template.
STRATEGY: dict[str, Any] = {
    "name": "small",
    "seed": 5,
    "data": {
        "start": "2024-01-01",
        "end": "2024-04-30",
        "symbols": {
            "AAA": {
                "bars": "bars.parquet",
                "funding": "funding.parquet",
                "mark": "mark.parquet",
                "contract": {"tick": 0.01, "lot": 0.001},
            }
        },
    },
    "account": {"cash": 10000, "leverage": 2},
    "latency": {"order": {"model": "uniform", "low": "100ms", "high": "500ms"}},
    "policy": {"rule": "sma_cross", "search": {"fast": [4, 8, 12], "slow": [24, 36]}},
    "exits": {"atr": 14, "stop_atr": 3.0, "take_atr": 4.0},
    "limits": {"max_daily_loss": None, "max_drawdown": None, "cooldown": None, "max_leverage": 2},
    "folds": {"count": 3, "train": "60d", "embargo": "24h"},
    "robustness": None,
    "report": {"tearsheets": "none"},
    # What a test is not about is off: a null here, and what the test gives replaces it.
    "stress": None,
    "capacity": None,
    "decay": None,
    "monte_carlo": None,
}


def hours(days: int = DAYS, seed: int = 3) -> dict[str, np.ndarray]:
    """OHLCV of `days` days of 1 h bars that move enough to be stopped out of."""
    rng = np.random.default_rng(seed)
    n = 24 * days
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.008, n)))
    open_ = np.r_[100.0, close[:-1]]
    return {
        "open": open_,
        "high": np.maximum(open_, close) * (1 + rng.uniform(0, 0.006, n)),
        "low": np.minimum(open_, close) * (1 - rng.uniform(0, 0.006, n)),
        "close": close,
        "volume": rng.uniform(500, 5000, n),
    }


def write_strategy(folder: Path, name: str = "small.yaml", **sections: Any) -> Path:
    """The strategy file alone; a section given replaces the section's own keys, None removes it."""
    tree = json.loads(json.dumps(STRATEGY))
    for key, value in sections.items():
        if value is None:
            tree.pop(key, None)
        elif isinstance(value, dict) and isinstance(tree.get(key), dict):
            tree[key] |= value
        else:
            tree[key] = value
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(tree, indent=1))
    return path


def write_study(folder: Path, bars: dict[str, np.ndarray] | None = None, **sections: Any) -> Path:
    """Bars, funding, mark and the strategy file that names them."""
    bars = hours() if bars is None else bars
    ts = START + HOUR * np.arange(len(bars["close"]))
    write(folder / "bars.parquet", bars_table(ts=ts, **bars))
    scaled = {name: bars[name] * 0.999 for name in ("open", "high", "low", "close")}
    write(folder / "mark.parquet", bars_table(ts=ts, **scaled, volume=np.zeros(len(ts))))
    stamps = ts[::8]
    rates = 1e-4 * np.sin(np.arange(len(stamps)) / 5)
    write(folder / "funding.parquet", funding_table(ts=stamps, rate=rates, mark_price=scaled["open"][::8]))
    return write_strategy(folder, **sections)


def beside_the_ledger(out: Path) -> list[Path]:
    """All that is in a reports folder but its trial ledger, and one that was being made when it was killed, by name."""
    return sorted(entry for entry in out.iterdir() if not entry.name.removeprefix(".").startswith("trials.sqlite"))


def numbers(folder: Path) -> dict[str, bytes]:
    """What has to be the same again: the bytes of each table, and of result.json but for its timing."""
    result = json.loads((folder / "result.json").read_text())
    del result["timing"]
    told = {"result.json": json.dumps(result).encode()}
    return told | {f"{name}.parquet": (folder / f"{name}.parquet").read_bytes() for name in PARQUET}
