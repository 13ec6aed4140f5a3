"""What the same decisions would have made in kinder worlds: a ladder of ever more real replays, and the break-even.

The policy is not asked again.  The intents that the folds chose are replayed as they stand; sizes follow the account of
each replay, and everything that is not named in a step (limits, exits, sizing, margin) stays as configured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wfbt.data.market import BPS, DAY
from wfbt.engine.backtest import replay_ledger, span
from wfbt.engine.closed_loop import Watching
from wfbt.engine.sweep import replay_lanes
from wfbt.engine.tape import Deck, terms_of
from wfbt.kernels.abi import Rules, Schedule, Status
from wfbt.ledger.ledger import Ledger
from wfbt.validation.stops import EMPTY, LIMIT, same_history, stop_of

MEASURED = ("sharpe", "annual_return", "total_return", "max_drawdown", "trades")
"""What a rung shows, keys of `Ledger.metrics`."""

STEPS = ("ideal", "fees and spread", "latency", "impact", "funding", "caps", "as configured")
"""Each adds its own to all before it.  The last is the run itself: what a later step does not name shows up there."""

MULTIPLES = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
PRECISION = 1e-6
"""Relative, of a break-even multiple."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decided:
    """Intents over decision bars [first, last) of a deck, and the rules of the account that follows them.

    Attributes
    ----------
    deck : Deck
    rules : Rules
    intents : (N,) INTENT
    first, last : int
    watching : Watching or None
        The networks that made the intents, where they watch the account.
    """

    deck: Deck
    rules: Rules
    intents: npt.NDArray[np.void]
    first: int
    last: int
    watching: Watching | None = None

    def asked_again(self, times: float = 1.0) -> Decided:
        """What is decided on this deck under these rules, with sizes `times` as large.

        Whoever sees nothing of the account decides the same on any.  Networks that watch it are asked what they do with
        what it becomes here.
        """
        if self.watching is None:
            return self
        heard = self.watching.on(self.deck, self.rules, times)
        return replace(self, watching=heard, intents=heard.intents())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rung:
    """One step of the ladder.

    Attributes
    ----------
    step : str
        One of STEPS.
    ledger : Ledger
    metrics : mapping
        MEASURED and `reasons`, of `Ledger.metrics`.
    change : mapping or None
        Each of MEASURED less that of the step before, None where either is missing; None on the first step.
    stop : (int, str) or None
        When (ns UTC) and by what this account stopped for good, of `stops.stop_of`.
    """

    step: str
    ledger: Ledger
    metrics: Mapping[str, Any]
    change: Mapping[str, float | None] | None
    stop: tuple[int, str] | None


class Outcome(NamedTuple):
    """One replay at a multiple of all trading costs."""

    multiple: float
    total_return: float
    paid: float  # fees, spread and impact, quote
    traded: float  # value of all fills
    stop: tuple[int, str] | None  # end of the last day on which equity changed (ns from the first), and by what


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """How dear trading may be before nothing is left.

    Attributes
    ----------
    multiple : float or None
        Of all fees, spread and impact, at which the net total return is zero: the smallest one that was found.
    bps : float or None
        Trading costs there, in bps of the value traded.
    paid_bps : float or None
        Trading costs as configured, likewise.
    tried : tuple of Outcome
        At MULTIPLES, increasing.
    why_not : str
        Why there is no multiple.
    """

    multiple: float | None
    bps: float | None
    paid_bps: float | None
    tried: tuple[Outcome, ...]
    why_not: str

    @property
    def monotone(self) -> bool:
        """No dearer replay made more than a cheaper one."""
        return bool((np.diff([one.total_return for one in self.tried]) <= 0).all())

    @property
    def crossings(self) -> int:
        """How often the return passes zero on the way through `tried`; 1 is what a break-even should mean."""
        return int(np.count_nonzero(np.diff([one.total_return > 0 for one in self.tried])))

    @property
    def stops(self) -> tuple[tuple[int, str] | None, ...]:
        """How the replays between the configured costs and the break-even, or the end of the search, stopped."""
        if not self.tried:
            return ()
        far = self.multiple
        if far is None:
            far = self.tried[0].multiple if self.tried[0].total_return <= 0 else self.tried[-1].multiple
        low, high = min(far, 1.0), max(far, 1.0)
        # The break-even itself lies between two that were tried: both belong to it.
        below = max((one.multiple for one in self.tried if one.multiple <= low), default=low)
        above = min((one.multiple for one in self.tried if one.multiple >= high), default=high)
        return tuple(one.stop for one in self.tried if below <= one.multiple <= above)


def ladder(decided: Decided) -> tuple[Rung, ...]:
    """Replay the same intents under each of STEPS."""
    rungs: list[Rung] = []
    for height, step in enumerate(STEPS):
        deck, rules = _with(decided, STEPS[1 : height + 1])
        ledger = replay_ledger(deck, decided.intents, rules, decided.first, decided.last)
        told = ledger.metrics()
        metrics = {name: told[name] for name in MEASURED}
        change = {name: _less(metrics[name], rungs[-1].metrics[name]) for name in MEASURED} if rungs else None
        reasons = {name: why for name, why in told["reasons"].items() if name in MEASURED}
        stop = stop_of(ledger, decided.rules.drawdown)
        rungs.append(Rung(step=step, ledger=ledger, metrics=metrics | {"reasons": reasons}, change=change, stop=stop))
    return tuple(rungs)


def stopped_apart(stops: Sequence[tuple[int, str] | None]) -> str:
    """What stopped some replays and not others, or on other days, LIMIT before EMPTY; empty where they compare."""
    if same_history([None if stop is None else stop[0] for stop in stops]):
        return ""
    causes = {stop[1] for stop in stops if stop is not None}
    return LIMIT if LIMIT in causes else EMPTY


def _less(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def _with(decided: Decided, real: tuple[str, ...]) -> tuple[Deck, Rules]:
    """The deck and the rules with only the steps `real` switched on.

    The deck is altered, not laid out anew: `lay_out` has no way to scale a symbol's own impact, and without impact it
    would also forget the horizon that latency scales with.
    """
    deck, rules = decided.deck, decided.rules
    if STEPS[-1] in real:
        return deck, rules
    if "fees and spread" not in real:
        rules = rules._replace(maker=0.0, taker=0.0, half_spread=0.0, liquidation_fee=0.0)
        deck = replace(deck, venue=deck.venue._replace(fees=deck.venue.fees[:0]))
    if "caps" not in real:
        # Neither the volume nor the venue's manners cut an order: it fills whole, and at once.
        rules = rules._replace(
            participation=np.inf, hourly=np.inf, min_interval=0, schedule=int(Schedule.WHOLE), share=0.0
        )
    if "latency" not in real:
        at_once = np.repeat(deck.tape.close_ts[:, None], len(deck.symbols), axis=1)
        deck = replace(deck, tape=deck.tape._replace(arrive=at_once, gauss=np.zeros(at_once.shape)))
    if "funding" not in real:
        deck = replace(deck, stamps=deck.stamps[:0])
    return _scaled_impact(deck, 1.0 if "impact" in real else 0.0), rules


def _scaled_impact(deck: Deck, multiple: float) -> Deck:
    contracts = deck.contracts.copy()
    for name in ("temporary", "permanent"):
        contracts[name] *= multiple
    return replace(deck, contracts=contracts, terms=terms_of(deck.tape, contracts, deck.horizon))


def break_even(decided: Decided) -> BreakEven:
    """Find the multiple of all trading costs at which the net total return is zero.

    Delay and funding stay as they are, and so does a maker's rebate: it is no cost, and scaled it would make dear
    trading cheap.  The return need not fall with every step of cost, since sizes, breakers and lots answer to equity:
    MULTIPLES are all replayed before the first pair that encloses zero is bisected.
    """
    rules, contracts = decided.rules, decided.deck.contracts
    fees = decided.deck.venue.fees
    taker, maker = (fees["taker"].max(), fees["maker"].max()) if len(fees) else (rules.taker, rules.maker)
    charged = max(taker, rules.half_spread, maker, 0.0)
    if charged == 0.0 and not contracts["temporary"].any() and not contracts["permanent"].any():
        return _none("no trading cost is configured, so there is nothing to multiply", ())
    # A fill that costs as much as it is worth is beyond what the rules of the kernel mean.
    tried = tuple(_at(decided, k) for k in MULTIPLES if k * (taker + rules.half_spread) < 1.0)
    if not any(one.traded for one in tried):
        return _none("it never traded", tried)
    if tried[0].total_return <= 0:
        return _none("it makes nothing even free of fees, spread and impact", tried)
    ruined = next((i for i, one in enumerate(tried) if one.total_return <= 0), None)
    if ruined is None:
        return _none(f"it still makes money at {tried[-1].multiple:g} times its trading costs", tried)
    low, high = tried[ruined - 1], tried[ruined]
    while high.multiple - low.multiple > PRECISION * high.multiple:
        middle = _at(decided, (low.multiple + high.multiple) / 2)
        low, high = (middle, high) if middle.total_return > 0 else (low, middle)
    return BreakEven(multiple=high.multiple, bps=_bps(high), paid_bps=_paid(tried), tried=tried, why_not="")


def _none(why: str, tried: tuple[Outcome, ...]) -> BreakEven:
    return BreakEven(multiple=None, bps=None, paid_bps=_paid(tried), tried=tried, why_not=why)


def _paid(tried: tuple[Outcome, ...]) -> float | None:
    """Trading costs as configured, in bps."""
    return next((_bps(one) for one in tried if one.multiple == 1.0), None)


def _bps(one: Outcome) -> float | None:
    return one.paid / one.traded / BPS if one.traded else None


def dearer(decided: Decided, multiple: float, rebate: float = 1.0) -> Decided:
    """The same decisions at `multiple` of fees, spread and impact, and `rebate` of what a maker is paid."""
    rules = decided.rules
    deck = _scaled_impact(decided.deck, multiple)
    fees = deck.venue.fees.copy()
    fees["maker"] *= np.where(fees["maker"] > 0, multiple, rebate)
    fees["taker"] *= multiple
    return replace(
        decided,
        deck=replace(deck, venue=deck.venue._replace(fees=fees)),
        rules=rules._replace(
            maker=rules.maker * (multiple if rules.maker > 0 else rebate),
            taker=rules.taker * multiple,
            half_spread=rules.half_spread * multiple,
        ),
    )


def _at(decided: Decided, multiple: float) -> Outcome:
    """Replay at `multiple` of fees, spread and impact."""
    dear = dearer(decided, multiple)
    lanes = replay_lanes(dear.deck, [dear.intents], [span(dear.deck, dear.first, dear.last)], dear.rules)
    tally = lanes.tallies[0]
    stop = None
    if tally["max_drawdown"] >= dear.rules.drawdown or tally["status"] == Status.HALTED:
        stop = _last_change(lanes.daily[0]), LIMIT if tally["max_drawdown"] >= dear.rules.drawdown else EMPTY
    return Outcome(
        multiple=multiple,
        total_return=float(tally["equity"] / dear.rules.cash - 1.0),
        paid=float(tally["fees"] + tally["spread"] + tally["impact"]),
        traded=float(tally["traded"]),
        stop=stop,
    )


def _last_change(daily: npt.NDArray[np.float64]) -> int:
    """The last day, counted from the lane's first, at whose end (D,) equity was not that of the day before; in ns."""
    known = daily[~np.isnan(daily)]
    changed = np.flatnonzero(np.diff(known, prepend=np.nan))
    return (int(changed[-1]) + 1) * DAY
