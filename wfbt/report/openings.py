"""How sections of the page open: one sentence on what their numbers say, and one on what of it would worry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wfbt.report.formats import reason
from wfbt.report.summary import FEW_TRADES, across_folds, cost, gross_profit
from wfbt.report.worry import worry

HALF = 0.5
"""Of what training showed: less out of sample and most of it was the search."""
THIN = 2.0
"""Times its costs that an edge should bear: no estimate of costs is better than that."""


def cost_told(result: Mapping[str, Any]) -> tuple[str, str] | None:
    """What costs took, and whether they could take the rest; None where they are not known."""
    said = cost(result)
    if not said:
        return None
    found = (result.get("realism") or {}).get("break_even") or {}
    gross, multiple = gross_profit(result) or 0.0, found.get("multiple")
    worries = []
    if gross <= 0:
        worries.append("its decisions lost before any cost")
    if multiple is not None and multiple < 1:
        worries.append(f"its return is zero at {multiple:.2f} times the costs it pays: they eat more than it makes")
    elif multiple is not None and multiple < THIN:
        worries.append(f"costs {multiple:.2f} times as high would take all of it")
    total, trades = ((result.get("oos") or {}).get(key) for key in ("total_return", "trades"))
    if not worries and trades is not None and 0 < trades < FEW_TRADES:
        worries.append(f"what {trades} round trips made before costs may be luck")
    if multiple is None and gross > 0 and total is not None and total <= 0:
        worries.append("what its decisions made did not pay for its costs")
    if not worries and multiple is None:
        return " ".join(said), worry([], reason(found, "multiple"))
    return " ".join(said), worry(worries, f"it would bear more than {THIN:g} times its costs")


def folds_told(result: Mapping[str, Any]) -> tuple[str, str] | None:
    """How many folds made money, and how much of what training promised came; None of a single fold."""
    said = across_folds(result)
    folds = result.get("folds") or []
    known = [one for fold in folds if (one := (fold.get("out_of_sample") or {}).get("total_return")) is not None]
    if not said or len(known) < 2:
        return None
    lost, won = len([one for one in known if one < 0]), len([one for one in known if one > 0])
    efficiency, worries = result.get("walk_forward_efficiency"), []
    if 2 * won <= len(known):
        worries.append(f"{won} of {len(known)} folds made money and {lost} lost some")
    if efficiency is not None and efficiency <= 0:
        worries.append("of what training showed nothing came out of sample")
    elif efficiency is not None and efficiency < HALF:
        worries.append(f"{efficiency:.0%} of what training showed came out of sample")
    few = [fold for fold in folds if ((fold.get("out_of_sample") or {}).get("trades") or 0) < FEW_TRADES]
    if few and (result.get("oos") or {}).get("trades"):
        number = "each fold" if len(few) == len(folds) else f"{len(few)} of {len(folds)} folds"
        worries.append(f"fewer than {FEW_TRADES} round trips in {number} are too few to compare folds")
    calm = "most folds made money"
    if efficiency is not None:
        calm += ", and half or more of what training showed came out of sample"
    return " ".join(said), worry(worries, calm)
