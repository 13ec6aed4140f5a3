"""What a test of robustness tells: quantiles, the share of the base that is left, and whether that is enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]

QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """What is enough, by default.

    Attributes
    ----------
    share : float or None
        Of the base that must be left.
    low : bool
        The 5th percentile must be positive too.
    """

    share: float | None = None
    low: bool = False

    @property
    def text(self) -> str:
        """As a sentence of a table says it."""
        parts = [f"keeps {self.share:.0%} of the base"] if self.share else []
        return " and ".join([*parts, *(["5th percentile > 0"] if self.low else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The Sharpe ratio that everything is compared with; None and `why` where the account has none."""

    sharpe: float | None
    why: str = ""

    def share(self, value: float | None) -> tuple[float | None, str]:
        """What `value` is of it, or None and why."""
        if self.sharpe is None:
            return None, self.why
        if self.sharpe <= 0:
            return None, f"the run's own Sharpe ratio is {self.sharpe:.2f}, and a share of no gain means nothing"
        if value is None:
            return None, "there is nothing to compare with the base"
        return value / self.sharpe, ""


@dataclass(slots=True, kw_only=True)
class Told:
    """Plain values with the reasons of those that are None."""

    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, value: Any, why: str = "") -> None:
        """`value` under `key`, which has to say why where it is None."""
        self.values[key] = value
        if value is None:
            assert why, key
            self.reasons[key] = why

    def done(self) -> dict[str, Any]:
        """Everything."""
        return {**self.values, "reasons": self.reasons}


def number(value: npt.ArrayLike) -> float | None:
    """The one number that `value` is, None where it is NaN."""
    one = float(np.asarray(value, np.float64))
    return None if np.isnan(one) else one


def quantiles(values: F8) -> dict[str, float] | None:
    """QUANTILES of those of `values` that are numbers; None of none."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    return {name: float(np.quantile(known, share)) for name, share in QUANTILES.items()}


def judged(
    what: str,
    values: F8,
    base: Base,
    criterion: Criterion,
    *,
    refused: int = 0,
    kept: npt.ArrayLike | None = None,
    **details: Any,
) -> dict[str, Any]:
    """One test of Sharpe ratios `values` (N,), NaN where an account has none or was `refused`.

    `kept` is what the share is taken of where it is not the median.
    """
    told = Told()
    undefined = int(np.isnan(values).sum()) - refused
    found = quantiles(values)
    told.put("what", what)
    told.put("n", len(values) - refused)
    told.put("refused", refused)
    told.put("undefined", undefined)
    told.put("base", base.sharpe, base.why)
    told.put("quantiles", found, "no account has a Sharpe ratio")
    middle = number(kept) if kept is not None else found["median"] if found else None
    share, why_no_share = base.share(middle)
    told.put("share_of_base", share, why_no_share)
    told.put("criterion", criterion.text or None, "the default gate has none for it")
    told.put("passes", *_passes(criterion, share, why_no_share, found, undefined, refused, len(values)))
    for key, value in details.items():
        told.put(key, value, "there is none")
    return told.done()


def _passes(
    criterion: Criterion,
    share: float | None,
    why_no_share: str,
    found: Mapping[str, float] | None,
    undefined: int,
    refused: int,
    asked: int,
) -> tuple[bool | None, str]:
    if not criterion.text:
        return None, "the default gate has no criterion for it"
    if 2 * refused > asked:
        return None, f"the policy refused {refused} of {asked}, and the rest says too little"
    if found is None:
        return None, "no account has a Sharpe ratio"
    if criterion.share is not None and share is None:
        return None, why_no_share
    if undefined:
        return None, f"{undefined} of {asked - refused} accounts have no Sharpe ratio"
    enough = criterion.share is None or (share is not None and share >= criterion.share)
    return enough and (not criterion.low or found["q05"] > 0), ""
