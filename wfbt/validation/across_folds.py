"""What the folds of a walk, and the paths of a combinatorial one, say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import expm1, fsum, log1p
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError

F8 = npt.NDArray[np.float64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

SHARED = (
    "every path is made of the same history cut in different ways: their spread says how much the cut matters, and is "
    "no standard error"
)


def walk_forward_efficiency(outside: float | None, inside: Sequence[float | None]) -> tuple[float | None, str]:
    """Annual return out of sample over the folds' mean annual return in sample, or None and why (Pardo 2008)."""
    known = [value for value in inside if value is not None]
    if outside is None or not known or len(known) < len(inside):
        return None, "an annual return is missing, in or out of sample"
    mean = float(np.mean(known))
    if mean <= 0:
        return None, f"the mean annual return in sample is {mean:.2%}; a ratio to a loss means nothing"
    return outside / mean, ""


def concentration(returns: Sequence[float | None]) -> Mapping[str, Any]:
    """How much of the profit came from how few folds.

    Parameters
    ----------
    returns : one total return per fold, as a fraction; None where it is unknown

    Returns
    -------
    dict
        shares: of each fold in the total log profit, negative where it lost; they add up to 1.  largest: the greatest
        of them.  without_best: total return had the best fold earned nothing.  herfindahl: Σ of the squared shares in
        the profit of the winning folds, from 1 over their number to 1.  reasons: key → why it is None.
    """
    told: dict[str, Any] = dict.fromkeys(("shares", "largest", "without_best", "herfindahl"))
    if len(returns) < 2:
        return told | {"reasons": dict.fromkeys(told, "there is one fold")}
    known = [value for value in returns if value is not None]
    if len(known) < len(returns):
        return told | {"reasons": dict.fromkeys(told, "the return of a fold is missing")}
    if min(known) <= -1:
        return told | {"reasons": dict.fromkeys(told, "a fold lost everything")}
    growth = [log1p(value) for value in known]
    total, best = fsum(growth), max(growth)
    reasons: dict[str, str] = {}
    told["without_best"] = expm1(total - max(best, 0.0))
    if total > 0:
        told["shares"] = [value / total for value in growth]
        told["largest"] = best / total
    else:
        reasons |= dict.fromkeys(("shares", "largest"), "the folds together made nothing that could be shared")
    won = fsum(value for value in growth if value > 0)
    if won > 0:
        told["herfindahl"] = fsum((value / won) ** 2 for value in growth if value > 0)
    else:
        reasons["herfindahl"] = "no fold made money"
    return told | {"reasons": reasons}


def path_distribution(sharpes: F8) -> Mapping[str, Any]:
    """Annual Sharpe ratios of (P,) combinatorial paths: their quantiles, the share below 0, and what they are not."""
    sharpes = np.asarray(sharpes, np.float64)
    if sharpes.ndim != 1 or not len(sharpes):
        raise ConfigError(f"a distribution over paths needs one Sharpe ratio each, was given shape {sharpes.shape}")
    known = sharpes[np.isfinite(sharpes)]
    told: dict[str, Any] = {"paths": len(sharpes), "quantiles": None, "below_zero": None, "note": SHARED}
    if len(known) < len(sharpes):
        why = f"{len(sharpes) - len(known)} of {len(sharpes)} paths have no Sharpe ratio"
        return told | {"reasons": dict.fromkeys(("quantiles", "below_zero"), why)}
    told["quantiles"] = {f"{level:g}": float(np.quantile(known, level)) for level in QUANTILES}
    told["below_zero"] = float(np.mean(known < 0))
    return told | {"reasons": {}}
