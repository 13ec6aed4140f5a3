"""How much money the same decisions carry: replays of one account at many sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wfbt.compute import in_order
from wfbt.data.market import BPS
from wfbt.engine.backtest import replay_ledger
from wfbt.engine.tape import terms_of
from wfbt.kernels.abi import Size
from wfbt.ledger.attribution import unfilled
from wfbt.ledger.ledger import Ledger, costs_split
from wfbt.validation.realism import Decided

F8 = npt.NDArray[np.float64]


class Sized(NamedTuple):
    """One replay at one size of the account."""

    size: float
    annual_return: float | None
    total_return: float
    sharpe: float | None
    max_drawdown: float
    slippage_bps: float | None  # spread and impact, of the value traded
    cost_bps: float | None  # with fees
    unfilled: float | None  # share of the orders that ended short of their goal
    profit_a_year: float | None  # annual return of the size, in money
    why_not: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """Where capacity ends.

    Attributes
    ----------
    alpha : float or None
        Annual net return of an account so small that it moves nothing and no cap cuts it.
    half : float or None
        A½: the size at which half of `alpha` is left.
    best : float or None
        A*: the size at which the profit of a year, in money, is largest.
    sizes : tuple of Sized
    why_no_alpha, why_no_half, why_no_best : str
    """

    alpha: float | None
    half: float | None
    best: float | None
    sizes: tuple[Sized, ...]
    why_no_alpha: str = ""
    why_no_half: str = ""
    why_no_best: str = ""


def capacity(decided: Decided, sizes: Sequence[float], jobs: int = 1) -> Found:
    """Replay `decided` at each of `sizes`, increasing, in the account's currency, and interpolate where it wears out.

    Sizes that the policy gives as money (sizing.method fixed) and the value that fee tiers count grow with the account,
    so the decisions are the same in proportion.  The account compounds as it does at its own size.  Networks that watch
    their account decide by what it becomes at each size.
    """
    small = _sized(_frictionless(decided), decided.rules.cash)
    table = tuple(in_order(lambda size: _sized(decided, float(size)), sizes, jobs))
    alpha = small.annual_return
    if alpha is None or alpha <= 0:
        why = (
            small.why_not
            or f"an account that moves no price makes {alpha or 0.0:.1%} a year: there is no alpha to wear out"
        )
        return Found(
            alpha=alpha, half=None, best=None, sizes=table, why_no_alpha=small.why_not, why_no_half=why, why_no_best=why
        )
    half, why_no_half = _half(table, alpha)
    best, why_no_best = _best(table)
    return Found(alpha=alpha, half=half, best=best, sizes=table, why_no_half=why_no_half, why_no_best=why_no_best)


def _frictionless(decided: Decided) -> Decided:
    """The account whose size no order can notice: no impact, no caps, no lots; fees and spread as they are."""
    contracts = decided.deck.contracts.copy()
    for name in ("temporary", "permanent", "lot"):
        contracts[name] = 0.0
    deck = replace(
        decided.deck, contracts=contracts, terms=terms_of(decided.deck.tape, contracts, decided.deck.horizon)
    )
    return replace(decided, deck=deck, rules=decided.rules._replace(participation=np.inf, hourly=np.inf))


def _sized(decided: Decided, size: float) -> Sized:
    rules, intents = decided.rules, decided.intents
    times = size / rules.cash
    grown = times if rules.size == Size.NOTIONAL else 1.0
    rules = rules._replace(cash=size, monthly=rules.monthly * times)
    if decided.watching is not None:
        intents = replace(decided, rules=rules).asked_again(grown).intents
    elif grown != 1.0:
        intents = intents.copy()
        for name in ("size", "other_size"):
            intents[name] *= grown
    ledger = replay_ledger(decided.deck, intents, rules, decided.first, decided.last)
    told, split = ledger.metrics(), costs_split(ledger)
    traded = float(ledger.traded.sum())
    slipped = split["spread"] + split["impact"]
    annual = told["annual_return"]
    return Sized(
        size=size,
        annual_return=annual,
        total_return=float(ledger.equity[-1] / ledger.opening_equity - 1.0),
        sharpe=told["sharpe"],
        max_drawdown=told["max_drawdown"],
        slippage_bps=slipped / traded / BPS if traded else None,
        cost_bps=(slipped + split["fees"]) / traded / BPS if traded else None,
        unfilled=_unfilled(ledger),
        profit_a_year=None if annual is None else annual * size,
        why_not=told["reasons"].get("annual_return", ""),
    )


def _unfilled(ledger: Ledger) -> float | None:
    """Share of the policy's orders that ended short of their goal, however little was missing."""
    sent = len(ledger.orders)
    return float(unfilled(ledger)["orders"].sum() / sent) if sent else None


def _half(table: Sequence[Sized], alpha: float) -> tuple[float | None, str]:
    """The size at which half of `alpha` is left, on a line in the logarithm of size between two that enclose it."""
    known = [one for one in table if one.annual_return is not None]
    if not known:
        return None, table[0].why_not
    kept = [float(one.annual_return or 0.0) / alpha for one in known]
    if kept[0] <= 0.5:
        return None, f"less than half of it is left at {known[0].size:,.0f} already, the smallest size tried"
    for low, high, before, after in zip(known, known[1:], kept, kept[1:], strict=False):
        if after <= 0.5:
            share = (before - 0.5) / (before - after)
            return float(low.size * (high.size / low.size) ** share), ""
    return None, f"{kept[-1]:.0%} of it is left at {known[-1].size:,.0f}, the largest size tried"


def _best(table: Sequence[Sized]) -> tuple[float | None, str]:
    """The size whose profit of a year is largest: the top of a parabola in the logarithm of size."""
    known = [(one.size, one.profit_a_year) for one in table if one.profit_a_year is not None]
    if not known:
        return None, table[0].why_not
    profits = np.array([profit for _, profit in known])
    place = int(profits.argmax())
    if place == len(known) - 1:
        return None, f"profit still grows at {known[-1][0]:,.0f}, the largest size tried"
    if place == 0:
        return None, f"profit falls from {known[0][0]:,.0f} on, the smallest size tried"
    x = np.log([size for size, _ in known[place - 1 : place + 2]])
    y = profits[place - 1 : place + 2]
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    bend = (right - left) / (x[2] - x[0])
    if bend == 0.0:
        return float(known[place][0]), ""
    top = (x[0] + x[1]) / 2.0 - left / (2.0 * bend)
    return float(np.exp(np.clip(top, x[0], x[2]))), ""


def capacity_section(decided: Decided, sizes: Sequence[float], jobs: int = 1) -> dict[str, Any]:
    """`capacity` of result.json."""
    found = capacity(decided, sizes, jobs)
    reasons = {"half": found.why_no_half, "best": found.why_no_best, "alpha": found.why_no_alpha}
    rows = []
    for one in found.sizes:
        row = one._asdict()
        why = row.pop("why_not") or "too few days"
        undone = "no order was sent"
        kept = None
        if one.annual_return is not None and found.alpha is not None and found.alpha > 0:
            kept = one.annual_return / found.alpha
        row["retention"] = kept
        missing = {
            "annual_return": why, "profit_a_year": why, "sharpe": why, "retention": found.why_no_half or why,
            "slippage_bps": "nothing was traded", "cost_bps": "nothing was traded", "unfilled": undone,
        }  # fmt: skip
        row["reasons"] = {name: text for name, text in missing.items() if row[name] is None}
        rows.append(row)
    return {
        "alpha": found.alpha,
        "half": found.half,
        "best": found.best,
        "own_size": decided.rules.cash,
        "impact": bool(decided.deck.contracts["temporary"].any() or decided.deck.contracts["permanent"].any()),
        "caps": bool(np.isfinite(decided.rules.participation) or np.isfinite(decided.rules.hourly)),
        "sizes": rows,
        "reasons": {name: why for name, why in reasons.items() if why},
    }
