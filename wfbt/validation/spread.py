"""How much came of it depends on the path: medians and quantiles over paths that share their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wfbt.validation.walk_forward import WalkForward

QUANTILES = {"lowest": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "highest": 1.0}
SPREAD_OF = ("sharpe", "total_return", "max_drawdown")
COUNTED = ("trades", "days")


def hindsight(scheme: str, walk: WalkForward) -> dict[str, Any]:
    """That the folds learnt from what came after their test, and of several paths which account the rest is of."""
    told: dict[str, Any] = {
        "scheme": scheme,
        "tradable": False,
        "why": f"folds.scheme {scheme} lets each fold learn from later data too, so nobody could have traded this "
        "account; rolling and anchored folds walk forward",
        "unused": ["folds.train", "folds.test"],
    }
    if not walk.paths:
        return told
    return told | {
        "paths": len(walk.paths),
        "shown": walk.shown + 1,
        "medians": f"oos holds medians over {len(walk.paths)} paths, each one account over all groups; the paths share "
        "their data, so their spread is not a standard error",
        "of_shown": f"costs, attribution, realism, events, overfitting and all tables are of path {walk.shown + 1}, "
        "which has the median Sharpe ratio, or the lower of two in the middle",
        "spread": spread([path.told for path in walk.paths]),
    }


def paths_told(walk: WalkForward) -> list[dict[str, Any]]:
    """What each path earned, and the folds that decided its groups."""
    return [
        {"path": number, "folds": [walk.folds[place].fold.index + 1 for place, _ in path.route], **path.told}
        for number, path in enumerate(walk.paths, start=1)
    ]


def medians(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of each number of `Ledger.metrics` over paths; None, and why, where any path has none.

    Of counts the lower of two in the middle.  A median of the paths that have a number would be one of the lucky ones.
    """
    out: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for key in told[0]:
        if key == "reasons":
            continue
        values = [one[key] for one in told if one[key] is not None]
        if len(values) < len(told):
            out[key] = None
            whose = next(one["reasons"][key] for one in told if one[key] is None)
            reasons[key] = f"{len(told) - len(values)} of {len(told)} paths have none: {whose}"
        elif key in COUNTED:
            out[key] = sorted(values)[(len(values) - 1) // 2]
        else:
            out[key] = float(np.median(values))
    return out | {"reasons": reasons}


def spread(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Quantiles over paths of their Sharpe ratio, return and drawdown; None, and why, where a path has none."""
    middle = medians(told)
    reasons = middle["reasons"]
    return {
        **{
            key: None
            if key in reasons
            else {name: float(np.quantile([one[key] for one in told], q)) for name, q in QUANTILES.items()}
            for key in SPREAD_OF
        },
        "reasons": {key: reasons[key] for key in SPREAD_OF if key in reasons},
    }
