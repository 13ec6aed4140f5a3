"""wfbt: walk-forward backtesting that does not flatter.

The public names are resolved on first use, so that `import wfbt` stays light.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Account": "wfbt.engine.account",
    "Bars": "wfbt.data.market",
    "Cap": "wfbt.engine.exposure",
    "Contract": "wfbt.data.market",
    "Costs": "wfbt.engine.costs",
    "Delay": "wfbt.engine.latency",
    "Exits": "wfbt.engine.account",
    "Exposure": "wfbt.engine.exposure",
    "FeeTier": "wfbt.engine.venue",
    "Funding": "wfbt.data.market",
    "Impact": "wfbt.engine.costs",
    "Instrument": "wfbt.data.market",
    "Latency": "wfbt.engine.latency",
    "Ledger": "wfbt.ledger.ledger",
    "Limits": "wfbt.engine.account",
    "Market": "wfbt.data.market",
    "Orders": "wfbt.engine.orders",
    "Participation": "wfbt.engine.orders",
    "Ratchet": "wfbt.engine.account",
    "Schedule": "wfbt.engine.orders",
    "Series": "wfbt.data.market",
    "Sizing": "wfbt.engine.account",
    "Sweep": "wfbt.validation.sweep",
    "Tier": "wfbt.engine.venue",
    "WfbtError": "wfbt.errors",
    "backtest": "wfbt.engine.backtest",
    "load_market": "wfbt.data.load",
    "run": "wfbt.pipeline",
    "sweep": "wfbt.validation.sweep",
    "verify": "wfbt.gate.deployed",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'wfbt' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
