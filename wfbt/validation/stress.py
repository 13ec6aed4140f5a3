"""The out-of-sample account on bad days: what each takes from its return, its depth and its owner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.compute import in_order
from wfbt.data.market import DAY, HOUR
from wfbt.engine.backtest import replay_ledger
from wfbt.engine.setup import Setup
from wfbt.errors import DataError
from wfbt.ledger.ledger import Ledger, costs_split
from wfbt.ledger.metrics import max_drawdown
from wfbt.ledger.wording import NEVER_NET
from wfbt.validation.again import Ran
from wfbt.validation.realism import Decided
from wfbt.validation.scenarios import Failing, Scenario, halted, priced, seen, thinned
from wfbt.validation.walk_forward import Study

F8 = npt.NDArray[np.float64]

AFTERMATH = 7 * DAY
"""ns after the end of a scenario that its loss is still looked for in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """Where an account stands worst: the `row` of its ledger after whose close it happens, or why there is none."""

    row: int | None
    why_not: str = ""


def worst_row(ledger: Ledger, scenario: Scenario, period: int) -> Worst:
    """The bar after whose close `scenario` meets the account at its worst; the first of several alike.

    What is worst is looked up in what really came after, which nobody could have known: a stress test is to find it.
    """
    equity = np.where(ledger.equity > 0, ledger.equity, np.nan)
    own = np.array([scenario.of(name.rpartition("@")[0] or name) for name in ledger.symbols])
    mark = np.where(ledger.position != 0, ledger.mark, 1.0)  # a symbol without a price is not held
    worth = ledger.worth(ledger.position, mark)
    last = len(ledger.ts) - 1
    if scenario.worst == "all":
        return Worst(row=0)
    if scenario.worst in ("long", "short"):
        sign = 1.0 if scenario.worst == "long" else -1.0
        net = np.nan_to_num(sign * worth[:, own].sum(axis=1) / equity)[:last]
        if not len(net) or net.max() <= 0:
            return Worst(row=None, why_not=f"{NEVER_NET} {scenario.worst}")
        return Worst(row=int(net.argmax()))
    if scenario.worst == "gross":
        gross = np.nan_to_num(np.abs(worth).sum(axis=1) / equity)[:last]
        if not len(gross) or gross.max() <= 0:
            return Worst(row=None, why_not="the account never held a position")
        begins = int(ledger.ts[int(gross.argmax())]) - scenario.lasts // 2
        return Worst(row=max(0, int(np.searchsorted(ledger.ts, begins, side="right")) - 1))
    if scenario.worst == "trading":
        return _busiest(ledger, equity, scenario.lasts, own)
    ends = np.minimum(np.searchsorted(ledger.ts, ledger.ts + scenario.outage, side="right") - 1, last)
    later = np.where(ledger.position != 0, ledger.mark[ends], 1.0)
    lost = ledger.worth(ledger.position, mark) - ledger.worth(ledger.position, np.where(np.isnan(later), mark, later))
    share = np.nan_to_num(lost.sum(axis=1) / equity)[:last]
    if not (ledger.position != 0).any() or not len(share):
        return Worst(row=None, why_not="the account never held a position")
    return Worst(row=int(share.argmax()))


def _busiest(ledger: Ledger, equity: F8, lasts: int, own: npt.NDArray[np.bool_]) -> Worst:
    """Before the window in which most was traded in the (A,) symbols that are `own`, in multiples of equity."""
    told = own[ledger.fills["asset"]]
    if not told.any():
        return Worst(row=None, why_not="the account never traded" if own.all() else "the account never traded them")
    traded = np.bincount(ledger.fill_rows, ledger.traded * told, len(ledger.ts))
    total = np.append(0.0, np.cumsum(np.nan_to_num(traded / equity)))
    ends = np.searchsorted(ledger.ts, ledger.ts + lasts, side="right")
    # Decided at a close, filled in the bars after it.
    return Worst(row=int((total[ends] - total[1:])[: max(1, len(ledger.ts) - 1)].argmax()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stressed:
    """One scenario and the account that went through it.

    Attributes
    ----------
    scenario : Scenario
    at : int or None
        ns UTC.
    first, last : int
        Rows of the ledger: the close before it happens, and the last that its loss is looked for in.
    ledger : Ledger or None
        None where it could not be played.
    why_not : str
    """

    scenario: Scenario
    at: int | None = None
    first: int = 0
    last: int = 0
    ledger: Ledger | None = None
    why_not: str = ""


def stressed(ran: Ran, scenario: Scenario) -> Stressed:
    """Play one scenario to the out-of-sample account."""
    base = ran.walk.ledger
    period = ran.market.period
    if scenario.couple and len(ran.market.symbols) < 2:
        return Stressed(scenario=scenario, why_not="one symbol is traded, and a correlation needs two")
    if scenario.at is None:
        found = worst_row(base, scenario, period)
        if found.row is None:
            return Stressed(scenario=scenario, why_not=found.why_not)
        first = found.row
    else:
        first = int(np.searchsorted(base.ts, scenario.at, side="right")) - 1
        if first < 0 or first >= len(base.ts) - 1:
            span = " to ".join(f"{pd.Timestamp(int(ts), tz='UTC'):%Y-%m-%d %H:%M}" for ts in base.ts[[0, -1]])
            return Stressed(scenario=scenario, at=scenario.at, why_not=f"the account was traded from {span}")
    at = int(base.ts[first])
    try:
        decided = _decided(ran, scenario, at, first)
    except DataError as error:
        return Stressed(scenario=scenario, at=at, why_not=str(error))
    ledger = replay_ledger(decided.deck, decided.intents, decided.rules, decided.first, decided.last)
    ends = at + scenario.length(period) + AFTERMATH
    last = len(base.ts) - 1
    if scenario.worst != "all":
        last = min(last, int(np.searchsorted(base.ts, ends, side="right")) - 1)
    return Stressed(scenario=scenario, at=at, first=first, last=last, ledger=ledger)


def _decided(ran: Ran, scenario: Scenario, at: int, first: int) -> Decided:
    """What the account does on the altered market, and the deck it does it on."""
    decided = ran.walk.decided
    if scenario.fails:

        def failing(setup: Setup) -> Setup:
            return replace(setup, latency=Failing.of(setup.latency, scenario.fails, scenario.retry))

        there = ran.on(ran.market, ran.market, failing)
        return replace(decided, deck=there.deck if isinstance(there, Study) else there.book).asked_again()
    if scenario.told:
        market = priced(ran.market, scenario, at)
        decided = ran.decides(ran.on(market, seen(market, scenario, at)), decided.first + first)
    deck = decided.deck
    if scenario.spread != 1.0 or scenario.volume != 1.0:
        deck = thinned(deck, scenario, at)
    if scenario.outage:
        deck = halted(deck, at, scenario.outage)
    return decided if deck is decided.deck else replace(decided, deck=deck).asked_again()


def told(one: Stressed, base: Ledger, max_loss: float) -> dict[str, Any]:
    """One row of the table; what could not be played is null with its reason."""
    scenario, ledger = one.scenario, one.ledger
    out: dict[str, Any] = {
        "name": scenario.name,
        "what": scenario.what,
        "at": None if one.at is None else _iso(one.at),
        "severity": {
            "shock": scenario.shock,
            "spread": scenario.spread,
            "volume": scenario.volume,
            "rho": scenario.rho if scenario.couple else 0.0,
            "outage_hours": scenario.outage / HOUR,
        },
    }
    numbers = (
        "total_return", "return_change", "max_drawdown", "drawdown_change", "loss", "loss_without", "smallest_equity",
        "liquidations", "shortfall", "trading_costs_change", "within_mandate",
    )  # fmt: skip
    if ledger is None:
        reasons = dict.fromkeys(numbers, one.why_not) | ({"at": one.why_not} if one.at is None else {})
        return out | dict.fromkeys(numbers) | {"reasons": reasons}
    loss = _loss(ledger, base, one)
    total, depth = _total(ledger), max_drawdown(ledger.equity, ledger.opening_equity)
    return out | {
        "total_return": total,
        "return_change": total - _total(base),
        "max_drawdown": float(depth),
        "drawdown_change": float(depth - max_drawdown(base.equity, base.opening_equity)),
        "loss": loss,
        "loss_without": _loss(base, base, one),
        "smallest_equity": float(ledger.equity[one.first : one.last + 1].min()),
        "liquidations": int(len(ledger.liquidations) - len(base.liquidations)),
        "shortfall": float(ledger.shortfall.sum() - base.shortfall.sum()),
        "trading_costs_change": _paid(ledger) - _paid(base),
        "within_mandate": bool(loss <= max_loss),
        "reasons": {},
    }


def _total(ledger: Ledger) -> float:
    return float(ledger.equity[-1] / ledger.opening_equity - 1.0)


def _paid(ledger: Ledger) -> float:
    split = costs_split(ledger)
    return split["fees"] + split["spread"] + split["impact"]


def _loss(ledger: Ledger, base: Ledger, one: Stressed) -> float:
    """Share of the equity at the close before it that was gone at the worst close until its aftermath ends.

    Of one that lasts the whole account there is no before: how far it fell behind the account without it.
    """
    if one.scenario.worst == "all":
        alive = base.equity > 0
        return float(max(0.0, np.max(1.0 - ledger.equity[alive] / base.equity[alive], initial=0.0)))
    before = float(ledger.equity[one.first])
    if before <= 0:
        return 0.0
    return float(max(0.0, 1.0 - ledger.equity[one.first : one.last + 1].min() / before))


def _iso(ts: int) -> str:
    return pd.Timestamp(ts, tz="UTC").isoformat().replace("+00:00", "Z")


def stress_section(
    ran: Ran, benchmark: Ledger, scenarios: Sequence[Scenario], max_loss: float, *, history: bool, jobs: int = 1
) -> dict[str, Any]:
    """`stress` of result.json: every scenario, and what history did where the data hold it."""
    from wfbt.validation.history import history_told

    base = ran.walk.ledger
    rows = [told(one, base, max_loss) for one in in_order(lambda one: stressed(ran, one), scenarios, jobs)]
    played = [row for row in rows if row["loss"] is not None]
    worst = max(played, key=lambda row: row["loss"], default=None)
    reasons = {}
    if worst is None:
        reasons = dict.fromkeys(("worst", "within_mandate"), "no scenario could be played")
    if not history:
        reasons["history"] = "stress.history is false"
    return {
        "base": {
            "total_return": _total(base),
            "max_drawdown": float(max_drawdown(base.equity, base.opening_equity)),
            "liquidations": len(base.liquidations),
        },
        "max_stress_loss": max_loss,
        "scenarios": rows,
        "worst": worst and worst["name"],
        "within_mandate": None if worst is None else all(row["within_mandate"] for row in played),
        "history": history_told(ran.market, base, benchmark) if history else None,
        "reasons": reasons,
    }
