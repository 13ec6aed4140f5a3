"""What a replay would have had to assume to come out like an account's log: costs and delays, with their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import BPS, SECOND

F8 = npt.NDArray[np.float64]

FEWEST = 10
"""Observations below which a setting is not estimated."""

VARIES = 1e-6
"""Replayed impact whose deviation is below a hundredth of a basis point says nothing about its coefficient."""

LOOSE = 0.5
"""Standard error of the impact's factor from which on it is not estimated: half of what was replayed, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A number of the strategy file, as it was replayed and as the log has it.

    `live` is None, with `reason`, on fewer than `FEWEST` observations or where they cannot tell.  `error` is the
    standard error of an average, None of a quantile.
    """

    key: str
    unit: str
    replayed: float | None
    live: float | None
    error: float | None
    observations: int
    reason: str = ""


def settings_of(costs: Mapping[str, Any], matched: pd.DataFrame, live: pd.DataFrame) -> tuple[Setting, ...]:
    """Half spread, impact, fees and delays, from orders that were matched (`live.Comparison`) and those of the log.

    `costs` is that section of the strategy, every default filled in.
    """
    taken = matched[(matched["liquidity"] == "taker") & (matched["live_liquidity"] == "taker")]
    half, factor = _slippage(taken["cost"].to_numpy(), taken["impact"].to_numpy(), costs)
    orders = matched[matched["live_fee"].notna()]
    latency = taken[taken["latency"].notna()]
    return (
        half,
        factor,
        *(
            _fee(side, costs[f"{side}_bps"], orders[orders["live_liquidity"] == side], live)
            for side in ("taker", "maker")
        ),
        *(
            _quantile(f"latency.order {name}", latency["latency"], latency["replayed_latency"], at)
            for name, at in (("median", 0.5), ("p95", 0.95))
        ),
    )


def _slippage(cost: F8, impact: F8, costs: Mapping[str, Any]) -> tuple[Setting, Setting]:
    """Half spread h and factor k of cost = h + k·replayed impact, by least squares over taker orders.

    Where the orders do not tell the two apart, k is taken as replayed, and said to be unknown.
    """
    n, replayed = len(cost), float(costs["half_spread_bps"])
    name = ("costs.half_spread_bps", "bps", replayed)
    other = ("costs.impact", "× replayed", 1.0 if costs["impact"] else 0.0)
    few = f"{n} taker orders were matched, and it takes {FEWEST}"
    if n < FEWEST:
        return _unknown(*name, n, few), _unknown(*other, n, few)
    if float(np.std(impact)) <= VARIES:
        why = "the replayed orders all have the same impact, so nothing tells it from the spread"
        return _average(*name, (cost - impact) / BPS), _unknown(*other, n, why)
    design = np.column_stack([np.ones(n), impact])
    found = np.linalg.lstsq(design, cost, rcond=None)[0]
    rest = cost - design @ found
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * float(rest @ rest) / (n - 2))
    if errors[1] > LOOSE:
        why = f"orders differ too little in impact: its error would be {errors[1]:.2g}; the spread assumes the replay's"
        return _average(*name, (cost - impact) / BPS), _unknown(*other, n, why)
    return (
        Setting(
            key=name[0], unit=name[1], replayed=replayed, live=float(found[0] / BPS), error=float(errors[0] / BPS),
            observations=n,
        ),
        Setting(
            key=other[0], unit=other[1], replayed=other[2], live=float(found[1]), error=float(errors[1]), observations=n
        ),
    )  # fmt: skip


def _fee(side: str, replayed: float, orders: pd.DataFrame, live: pd.DataFrame) -> Setting:
    """Median fee of the log's orders on that side, matched or not: the venue does not care what we replayed."""
    own = live[(live["liquidity"] == side) & live["fee"].notna()]
    bps = own["fee"] / own["value"] / BPS if len(own) else orders["live_fee"] / orders["live_value"] / BPS
    name = (f"costs.{side}_bps", "bps", float(replayed))
    if len(bps) < FEWEST:
        return _unknown(*name, len(bps), f"{len(bps)} {side} orders say their fee, and it takes {FEWEST}")
    return Setting(
        key=name[0], unit=name[1], replayed=name[2], live=float(bps.median()), error=None, observations=len(bps)
    )


def _quantile(key: str, live: pd.Series[float], replayed: pd.Series[float], at: float) -> Setting:
    n = len(live)
    known = float(replayed.quantile(at) / SECOND) if n else None
    if n < FEWEST:
        return _unknown(key, "s", known, n, f"{n} taker orders decided at a close were matched, and it takes {FEWEST}")
    return Setting(
        key=key, unit="s", replayed=known, live=float(live.quantile(at) / SECOND), error=None, observations=n
    )


def _average(key: str, unit: str, replayed: float, values: F8) -> Setting:
    return Setting(
        key=key, unit=unit, replayed=replayed, live=float(np.mean(values)),
        error=float(np.std(values, ddof=1) / np.sqrt(len(values))), observations=len(values),
    )  # fmt: skip


def _unknown(key: str, unit: str, replayed: float | None, n: int, reason: str) -> Setting:
    return Setting(
        key=key, unit=unit, replayed=replayed, live=None, error=None, observations=n,
        reason=f"not enough evidence: {reason}" if n < FEWEST else reason,
    )  # fmt: skip
