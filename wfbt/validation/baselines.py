"""What a learned policy has to beat: doing nothing, holding, flipping coins, and the rule without the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import HOUR
from wfbt.engine.backtest import span
from wfbt.engine.closed_loop import stitched
from wfbt.engine.sweep import replay_lanes
from wfbt.errors import WfbtError
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import sharpe
from wfbt.policy.base import Policy, Rule, evaluate, load_rule
from wfbt.policy.hybrid import Hybrid
from wfbt.validation.realism import Decided
from wfbt.validation.walk_forward import Study, WalkForward, followed, lane_returns, spans_of

F8 = npt.NDArray[np.float64]

FLIPS = 100
MEASURED = ("sharpe", "annual_return", "total_return", "max_drawdown", "trades")


def baselines_told(study: Study, walk: WalkForward, benchmark: Ledger) -> dict[str, Any]:
    """The section `baselines` of result.json: each over the same rows, from the same cash, at the same costs.

    Coin flips are FLIPS accounts that hold about as long as the strategy does, under its sizing, exits and limits.
    """
    reasons: dict[str, str] = {}
    out: dict[str, Any] = {
        "cash": dict.fromkeys(MEASURED, 0.0) | {"sharpe": None, "reasons": {"sharpe": "cash does not move"}},
        "buy_and_hold": _measured(benchmark),
        "random": None,
        "rule_alone": None,
    }
    try:
        out["random"] = _flipped(study, walk)
    except WfbtError as error:
        reasons["random"] = str(error)
    alone = _rule_of(study.rule)
    if alone is None:
        reasons["rule_alone"] = "no rule stands beside the network"
    else:
        key, rule = alone
        try:
            out["rule_alone"] = _measured(_followed(study, walk, key, rule)) | {"rule": rule.name}
        except WfbtError as error:
            reasons["rule_alone"] = str(error)
    return out | {"reasons": reasons}


def _measured(ledger: Ledger) -> dict[str, Any]:
    told = ledger.metrics()
    kept = {name: told[name] for name in MEASURED}
    return kept | {"reasons": {name: why for name, why in told["reasons"].items() if name in kept}}


def _rule_of(policy: Policy) -> tuple[str, Rule] | None:
    """The rule of a hybrid and the key of its parameters."""
    if not isinstance(policy, Hybrid):
        return None
    return next(((key, part) for key, part in policy.parts.items() if isinstance(part, Rule)), None)


def _followed(study: Study, walk: WalkForward, key: str, rule: Rule) -> Ledger:
    """The account that follows the rule alone, with the parameters that each fold chose for it."""
    parts = []
    for place, block in walk.route:
        view, chosen = walk.views[place], walk.folds[place].params
        own = {name.partition(".")[2]: value for name, value in chosen.items() if name.partition(".")[0] == key}
        said = study.lowering.say(evaluate(rule, view.frames, own, view.train), view.forecast)
        parts.append(said.within(*spans_of(study.deck, [block])[0]))
    decided = walk.decided
    return followed(
        Decided(
            deck=decided.deck,
            rules=decided.rules,
            intents=stitched(parts).intents(),
            first=decided.first,
            last=decided.last,
        )
    )


def _flipped(study: Study, walk: WalkForward) -> dict[str, Any]:
    decided, deck = walk.decided, walk.decided.deck
    held = walk.ledger.metrics()["avg_holding_hours"]
    bars = max(1, round((held or 24.0) * HOUR / deck.period))
    rule = load_rule("random", Path(), "baselines")
    frames = study.frames
    forecast = walk.views[-1].forecast
    rows = span(deck, decided.first, decided.last)
    intents = []
    for number in range(FLIPS):
        wants = evaluate(rule, frames, {"seed": number, "hold": bars})
        intents.append(study.lowering.say(wants, forecast).within(*rows).intents())
    lanes = replay_lanes(deck, intents, [rows] * FLIPS, decided.rules, study.jobs)
    returns = lane_returns(deck, lanes.daily, *rows, decided.rules.cash)
    ratios = sharpe(returns, deck.calendar.periods_per_year)
    own = walk.ledger.metrics()["sharpe"]
    known = ratios[~np.isnan(ratios)]
    return {
        "accounts": FLIPS,
        "hold_bars": bars,
        "sharpe": _quantiles(known),
        "total_return": _quantiles(lanes.tallies["equity"] / decided.rules.cash - 1.0),
        "share_beaten": None if own is None or not len(known) else float((known < own).mean()),
        "reasons": {} if own is not None and len(known) else {"share_beaten": "there is no Sharpe ratio to compare"},
    }


def _quantiles(values: Sequence[float] | F8) -> Mapping[str, float] | None:
    if not len(values):
        return None
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95]).tolist()
    return {"p5": low, "p50": middle, "p95": high}
