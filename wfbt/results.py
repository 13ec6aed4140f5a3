"""What a run found, as result.json.

Every number comes from a ledger; nothing is computed twice.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from wfbt.assumptions import assumptions
from wfbt.config.schema import Strategy
from wfbt.data.market import HOUR, Instrument, Market
from wfbt.errors import LedgerError
from wfbt.features.market_regimes import regime_plan
from wfbt.kernels.abi import Reason
from wfbt.ledger.attribution import attribute, cost_bps, unfilled
from wfbt.ledger.cuts import cut_shares
from wfbt.ledger.ledger import Ledger, costs_split
from wfbt.validation.across_folds import walk_forward_efficiency
from wfbt.validation.by_regime import UNKNOWN, RegimeDays, by_regime, regimes_told
from wfbt.validation.folds import Fold
from wfbt.validation.forecasts import fit_notes, forecast_quality
from wfbt.validation.futures import STYLES
from wfbt.validation.leakage import COMB, NEW_PROCESS, PREFIX, Coverage, Verdict
from wfbt.validation.realism import BreakEven, Decided, Rung, break_even, ladder, stopped_apart
from wfbt.validation.sleeves import Portfolio, PortfolioWalk, Sleeve, pair_name
from wfbt.validation.spread import hindsight, medians, paths_told
from wfbt.validation.stops import limit_reached
from wfbt.validation.walk_forward import FoldResult, Study, WalkForward, rows_of
from wfbt.validation.window_matrix import Pair, matrix_told

SCHEMA_VERSION = "1"

# What result.json will hold once it is evaluated.
NOT_EVALUATED = {
    "volatility": "no model of volatility is asked for: the strategy has no volatility section",
    "robustness": "the strategy's robustness section is null",
    "stress": "the strategy's stress section is null",
    "monte_carlo": "the strategy's monte_carlo section is null",
    "ruin": "the strategy's monte_carlo section is null",
    "capacity": "the strategy's capacity section is null",
    "decay": "the strategy's decay section is null",
}


def iso(ts: int) -> str:
    """Nanoseconds UTC as ISO 8601."""
    return pd.Timestamp(int(ts), tz="UTC").isoformat().replace("+00:00", "Z")


def result_dict(
    run_id: str,
    config: Strategy,
    market: Market,
    study: Study | Portfolio,
    walk: WalkForward,
    benchmark: Ledger,
    leaks: Verdict,
    pairs: Sequence[Pair] = (),
    robust: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of result.json but for what needs the trial ledger (trials, overfitting) and its timing.

    `pairs` are the walk-forwards of other window lengths, `robust` is the section on robustness.
    """
    oos = medians([path.told for path in walk.paths]) if walk.paths else walk.ledger.metrics()
    folds = [_fold(one, study, config.limits.max_drawdown) for one in walk.folds]
    inside = [fold["in_sample"]["annual_return"] for fold in folds]
    efficiency, why_not = walk_forward_efficiency(oos["annual_return"], inside)
    two_sided = config.folds.scheme in ("purged", "cpcv")
    if two_sided:
        efficiency, why_not = None, f"folds.scheme {config.folds.scheme} does not walk forward"
    reasons = dict(NOT_EVALUATED)
    if efficiency is None:
        reasons["walk_forward_efficiency"] = why_not
    volatility = forecast_quality(study, walk, config.exits.atr)
    if volatility is not None:
        del reasons["volatility"]
    if robust is not None:
        del reasons["robustness"]
    for key in ("stress", "capacity", "decay"):  # filled in by the pipeline
        if getattr(config, key) is not None:
            del reasons[key]
    if config.monte_carlo is not None:  # likewise
        del reasons["monte_carlo"], reasons["ruin"]
    plan = regime_plan(config.regimes, config.seed)
    if plan is None:
        reasons["regimes"] = "the strategy's regimes section is null"
    split = None if plan is None else by_regime(plan, study, walk, benchmark)
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run_id,
        "name": config.name,
        "folds": folds,
        "oos": oos,
        "benchmark": benchmark.metrics(),
        "costs": costs_split(walk.ledger),
        "attribution": _attribution(walk.ledger, split),
        "realism": _realism(walk.decided, market),
        "walk_forward_efficiency": efficiency,
        "account": {"cash": config.account.cash, "leverage": config.account.leverage, "margin": config.account.margin},
        "events": _events(walk.ledger, config.limits.max_drawdown),
        "data": {one.symbol: _data(one, market) for one in market.instruments},
        "assumptions": assumptions(config, study),
        **({"sleeves": _sleeves(study, walk)} if isinstance(walk, PortfolioWalk) else {}),
        **({"walk": hindsight(config.folds.scheme, walk)} if two_sided else {}),
        **({"paths": paths_told(walk)} if walk.paths else {}),
        **({"matrix": matrix_told(pairs)} if pairs else {}),
        "notes": [*market.notes, *study.deck.notes, *_notes(study, walk), *fit_notes(walk)],
        "leakage": leakage_dict(leaks, market),
        **dict.fromkeys(NOT_EVALUATED),
        "volatility": volatility,
        "robustness": robust,
        "regimes": None if split is None else regimes_told(split),
        "reasons": reasons,
    }


def leakage_dict(verdict: Verdict, market: Market) -> dict[str, Any]:
    """What the leak tests found, how closely they looked, and what they cannot see."""
    told = asdict(verdict.coverage)
    calm, middling, wild = told.pop("volatility")
    leak = None
    if verdict.leak is not None:
        leak = asdict(verdict.leak) | {"bar": iso(verdict.leak.bar), "cut": iso(verdict.leak.cut)}
        # NaN is no JSON.
        leak |= {name: None for name in ("was", "now") if math.isnan(leak[name])}
        leak |= {"columns": list(verdict.leak.columns), "reads": list(verdict.leak.reads), "text": str(verdict.leak)}
    return {
        "passed": verdict.leak is None,
        "leak": leak,
        "cuts": told.pop("cuts"),
        "rows_covered": told.pop("rows_covered"),
        "detection_probability": told.pop("probability"),
        "schemes": [PREFIX, *STYLES, COMB, NEW_PROCESS],
        **told,
        "volatility": {"calm": calm, "middling": middling, "wild": wild},
        "what_it_cannot_see": _unseen(verdict.coverage, market),
        "notes": list(verdict.notes),
        "reasons": {} if leak else {"leak": "none was found"},
    }


def _unseen(coverage: Coverage, market: Market) -> list[str]:
    """What no recomputation can show, as far as it concerns this run."""
    said = [
        f"the future inside a data file of {one.name}: its times of publication are believed, and that "
        "no model made it unless the strategy says predictions"
        for one in market.series
    ]
    said.append("bars that were revised, or symbols that were picked, after the fact")
    if coverage.candidates < coverage.candidates_all:
        rest = coverage.candidates_all - coverage.candidates
        said.append(f"a leak of the {rest} of {coverage.candidates_all} candidates that were not asked")
    said.append("a look into files that the policy opens itself")
    return said


def _notes(study: Study | Portfolio, walk: WalkForward) -> list[str]:
    """What has to be known of how the folds chose, and of how sleeves share an account."""
    if isinstance(study, Study):
        return [*_unchosen(walk, study), *_lent(walk)]
    assert isinstance(walk, PortfolioWalk)
    notes = []
    for member in study.members:
        chosen = walk.alone[member.name]
        own = [f"{member.name}: {note}" for note in (*_unchosen(chosen, member.study), *_lent(chosen))]
        idle = [str(number) for number, shares in _weights(walk) if not shares[member.name]]
        if idle:
            own.append(
                f"{member.name}: weight 0 in fold{'s' if len(idle) > 1 else ''} {', '.join(idle)}"
                + ("; it did not move on training rows, or its risk asked for none" if study.method != "fixed" else "")
            )
        notes += own + _listed_late(walk, study, member)
    if blind := [str(one.fold.index + 1) for one in walk.folds if one.shrinkage == 1.0]:
        notes.append(
            f"fold{'s' if len(blind) > 1 else ''} {', '.join(blind)}: training returns tell so little of how sleeves "
            "vary that allocation.shrink took nothing of their covariance but its mean variance; so "
            f"{study.method.replace('_', ' ')} gave equal weights to all sleeves that moved"
        )
    traded = Counter(symbol for member in study.members for symbol in member.symbols)
    if shared := [symbol for symbol, count in traded.items() if count > 1 and not study.netting]:
        notes.append(
            f"{', '.join(shared)}: sleeves that trade it at one bar each pay the impact of their own order, not of the "
            "sum; sizing.max_position holds for each sleeve's position"
        )
    return notes


def _listed_late(walk: PortfolioWalk, study: Portfolio, member: Sleeve) -> list[str]:
    """Folds whose weight of a sleeve was fitted on days before a symbol's first bar, which count as without risk."""
    places = dict(zip(study.deck.symbols, study.deck.places, strict=True))
    first, symbol = max((int(places[symbol][0]), symbol) for symbol in member.symbols)
    folds = [
        str(one.fold.index + 1)
        for one, (_, shares) in zip(walk.folds, _weights(walk), strict=True)
        if rows_of(one.fold.train)[0] < first and shares[member.name]
    ]
    if not folds or study.method == "fixed":
        return []
    return [
        f"{member.name}: the first bar of {symbol} closes {iso(study.deck.close_ts[first])}; the weight of fold"
        f"{'s' if len(folds) > 1 else ''} {', '.join(folds)} counts the training days before as without risk in it, so "
        "it is larger than that risk asks for"
    ]


def _weights(walk: PortfolioWalk) -> list[tuple[int, dict[str, float]]]:
    """Number and weights, by sleeve, of each fold."""
    return [(one.fold.index + 1, {share.name: share.weight for share in one.sleeves}) for one in walk.folds]


def _sleeves(study: Study | Portfolio, walk: PortfolioWalk) -> dict[str, Any]:
    """What each sleeve was given, chose and earned."""
    assert isinstance(study, Portfolio)
    close = study.deck.close_ts
    folds = []
    for one in walk.folds:
        first, last = rows_of(one.fold.train)
        folds.append(
            {
                "index": one.fold.index + 1,
                "weights": {share.name: share.weight for share in one.sleeves},
                "fitted_on": {
                    "start": iso(close[first] - study.deck.period),
                    "end": iso(close[last - 1]),
                    "days": one.trial.train_returns.shape[1],
                }
                if study.method != "fixed"
                else None,
                "params": {share.name: dict(share.params) for share in one.sleeves},
                "reasons": {} if study.method != "fixed" else {"fitted_on": "fixed weights are fitted on nothing"},
            }
        )
    cash = walk.ledger.opening_equity
    profits = None if study.netting else profit_by_pair(walk.ledger)
    members = {}
    for member in study.members:
        told: dict[str, Any] = {
            "policy": member.study.rule.name,
            "symbols": list(member.symbols),
            "candidates": len(member.study.candidates),
            "profit": None,
            "return": None,
            "profit_by_symbol": None,
            "alone": walk.alone[member.name].ledger.metrics(),
            "reasons": {},
        }
        if profits is None:
            why = "the account is netted: fills belong to no one sleeve; see alone"
            told["reasons"] = dict.fromkeys(("profit", "return", "profit_by_symbol"), why)
        else:
            own = {symbol: profits.get(pair_name(symbol, member.name), 0.0) for symbol in member.symbols}
            total = math.fsum(own.values())
            told |= {"profit": total, "return": total / cash, "profit_by_symbol": own}
        members[member.name] = told
    return {
        "netting": study.netting,
        "method": study.method,
        "members": members,
        # With the sleeves' profits this is the change of equity.
        "insurance": float(walk.ledger.shortfall.sum()),
        "alone": "each sleeve's own out-of-sample walk with the whole account, its weight left out",
        "folds": folds,
    }


def profit_by_pair(ledger: Ledger) -> dict[str, float]:
    """Net profit of each symbol of the ledger, open positions at the last mark: Σ is Δ equity − Σ shortfall."""
    return {str(symbol): math.fsum(own) for symbol, own in ledger.trades().groupby("symbol")["profit"]}


def _unchosen(walk: WalkForward, study: Study) -> list[str]:
    """Folds in which no candidate could be told from another."""
    folds = [str(one.fold.index + 1) for one in walk.folds if np.isnan(one.trial.scores).all()]
    if not folds or len(study.candidates) < 2:
        return []
    word = "fold" if len(folds) == 1 else "folds"
    return [
        f"{word} {', '.join(folds)}: no candidate has a {study.objective} on its training rows (none traded); "
        "the first one was taken"
    ]


def _lent(walk: WalkForward) -> list[str]:
    """Which distances of the policy had no number when a target was named."""
    return [
        f"{symbol}: the policy's {kind} had no number yet, or never has one, when it named a target; the {kind} of the "
        "exits section held until then"
        for symbol, kind in walk.lent
    ]


def _fold(one: FoldResult, study: Study | Portfolio, most: float | None) -> dict[str, Any]:
    close, period = study.deck.close_ts, study.deck.period
    (train_from, train_to), (test_from, test_to) = rows_of(one.fold.train), rows_of(one.fold.test)
    score = one.trial.scores[one.trial.chosen]
    return {
        "index": one.fold.index + 1,
        "train_start": iso(close[train_from] - period),
        "train_end": iso(close[train_to - 1]),
        "test_start": iso(close[test_from] - period),
        "test_end": iso(close[test_to - 1]),
        "params": dict(one.params),
        "fits": [
            {
                "what": fit.what,
                "symbol": fit.symbol,
                "rows": len(fit.rows),
                "first": iso(fit.rows[0]) if len(fit.rows) else None,
                "last": iso(fit.rows[-1]) if len(fit.rows) else None,
                "notes": list(fit.notes),
            }
            for fit in one.fits
        ],
        "candidates": len(study.candidates) if isinstance(study, Study) else study.tried,
        "objective": {"name": study.objective, "value": None if np.isnan(score) else float(score)},
        **({} if _in_one_piece(one.fold) else {"blocks": _blocks(one.fold, study)}),
        "in_sample": one.in_sample.metrics(),
        **_stopped_in_training(one, most),
        "out_of_sample": one.out_of_sample.metrics(),
    }


def _stopped_in_training(one: FoldResult, most: float | None) -> dict[str, Any]:
    """When the drawdown limit stopped the chosen candidate's account over the training rows."""
    if not isinstance(one.in_sample, Ledger):
        why = "the training rows are in several blocks, each an account of its own"
        return {"training_stopped": None, "reasons": {"training_stopped": why}}
    return _stopped(one.in_sample, most, "training_stopped")


def _stopped(ledger: Ledger, most: float | None, key: str) -> dict[str, Any]:
    """When the drawdown limit stopped an account, under `key`, or why there is no such time."""
    reached = limit_reached(ledger, most)
    if reached is None:
        return {key: None, "reasons": {key: "its drawdown limit was not reached, or is off"}}
    return {key: iso(reached), "reasons": {}}


def _in_one_piece(fold: Fold) -> bool:
    return len(fold.train) == len(fold.test) == 1


def _blocks(fold: Fold, study: Study | Portfolio) -> dict[str, list[dict[str, str]]]:
    """Each stretch that a fold learns from and each that it is tested on."""
    close, period = study.deck.close_ts, study.deck.period
    return {
        name: [{"start": iso(close[one.start] - period), "end": iso(close[one.stop - 1])} for one in slices]
        for name, slices in (("train", fold.train), ("test", fold.test))
    }


def _attribution(ledger: Ledger, split: RegimeDays | None) -> dict[str, Any]:
    """What each cause did to the account, in quote: negative took.

    Causes, symbols, sessions and regimes each add up to net.
    """
    told = attribute(ledger)
    reasons = {}
    try:
        sessions = _rows(told.by_session())
    except LedgerError as error:
        sessions, reasons["by_session"] = None, str(error)
    regimes = None
    if split is None:
        reasons["by_regime"] = "the strategy's regimes section is null"
    else:
        table = told.by_label(split.of_bars(ledger))
        names = {str(number): name for number, name in enumerate(split.plan.names)} | {str(UNKNOWN): "unknown"}
        regimes = {names[number]: row for number, row in _rows(table).items()}
    return {
        "causes": list(told.names),
        "by_cause": _split(told.total()),
        "by_symbol": _rows(told.by_symbol()),
        "by_session": sessions,
        "by_regime": regimes,
        "unfilled": unfilled(ledger).to_dict("index"),
        "reasons": reasons,
    }


def _rows(table: pd.DataFrame) -> dict[str, Any]:
    return {str(name): _split(row) for name, row in table.iterrows()}


def _split(row: pd.Series[float]) -> dict[str, Any]:
    cost = cost_bps(row)
    return {
        **{str(name): int(value) if name == "fills" else float(value) for name, value in row.items()},
        "cost_bps": cost,
        "reasons": {} if cost is not None else {"cost_bps": "nothing was traded"},
    }


def _realism(decided: Decided, market: Market) -> dict[str, Any]:
    """The same decisions under rising realism, and how dear trading may be before nothing is left."""
    bare = [one.symbol for one in market.instruments if one.funding is None]
    # A step that cannot cost anything must not look like one that cost nothing.
    notes = {"funding": f"none was given for {', '.join(bare)}"} if bare else {}
    rungs = ladder(decided)
    return {
        "ladder": [_rung(one, notes.get(one.step, "")) for one in rungs],
        "stopped_apart": stopped_apart([one.stop for one in rungs]),
        "break_even": _break_even(break_even(decided)),
    }


def _rung(one: Rung, note: str) -> dict[str, Any]:
    reasons = dict(one.metrics["reasons"])
    change: dict[str, Any] | None = None
    if one.change is None:
        reasons["change"] = "no step comes before it"
    else:
        missing = [name for name, value in one.change.items() if value is None]
        change = {**one.change, "reasons": dict.fromkeys(missing, "it is missing here or on the step before")}
    if one.stop is None:
        reasons["stopped"] = "it was not stopped for good"
    stopped = None if one.stop is None else iso(one.stop[0])
    return {"step": one.step, "note": note, **one.metrics, "change": change, "stopped": stopped, "reasons": reasons}


def _break_even(found: BreakEven) -> dict[str, Any]:
    reasons = {name: found.why_not for name in ("multiple", "bps") if getattr(found, name) is None}
    if found.paid_bps is None:
        reasons["paid_bps"] = "nothing was traded" if found.tried else found.why_not
    return {
        "multiple": found.multiple,
        "bps": found.bps,
        "paid_bps": found.paid_bps,
        "monotone": found.monotone,
        "crossings": found.crossings,
        "stopped_apart": stopped_apart(found.stops),
        "tried": [{"multiple": one.multiple, "total_return": one.total_return} for one in found.tried],
        "reasons": reasons,
    }


def _events(ledger: Ledger, most: float | None) -> dict[str, Any]:
    counts = Counter(Reason(int(code)).name.lower() for code in ledger.fills["reason"])
    return {
        "fills": {name: counts[name] for name in sorted(counts)},
        "orders": _orders(ledger),
        "limits": _acts(ledger),
        "liquidations": counts["liquidation"],
        "breakers": ledger.breakers,
        **_stopped(ledger, most, "stopped"),
        "halted": bool(ledger.halted),
        "shortfall": float(ledger.shortfall.sum()),
    }


def _orders(ledger: Ledger) -> dict[str, Any]:
    """How the policy's orders ended, and what the filled ones cost against arrival."""
    frame = ledger.orders_frame()
    # An order that takes back one at work may find nothing to do.
    done = frame["outcome"].mask((frame["outcome"] == "filled") & (frame["filled"] == 0), "nothing to do")
    nothing = frame["filled"] == 0
    outcomes, idle = Counter(done), Counter(done[nothing])
    return {
        "sent": len(frame),
        "outcomes": {name: outcomes[name] for name in sorted(outcomes)},
        "unfilled": int(nothing.sum()),
        # With the orders that were filled in any part these add up to all that were sent.
        "unfilled_by_outcome": {name: idle[name] for name in sorted(idle)},
        "cut_by_more_than_1pct": int((cut_shares(ledger) > 0.01).sum()),
        "implementation_shortfall": float(frame["implementation_shortfall"].sum()),
    }


def _acts(ledger: Ledger) -> dict[str, int]:
    """How often each exposure limit acted."""
    counts = Counter(ledger.events_frame()["limit"])
    return {name: counts[name] for name in sorted(counts)}


def _data(one: Instrument, market: Market) -> dict[str, Any]:
    bars = one.bars
    return {
        "rows": len(bars),
        "first": iso(bars.open_ts[0]),
        "last": iso(bars.close_ts[-1]),
        "period_hours": bars.period / HOUR,
        "funding_stamps": len(one.funding) if one.funding else 0,
        "mark": one.mark is not None,
        "generated": bool(one.generated),
        "execution_bars": len(one.execution_bars) if one.execution_bars else 0,
        "findings": [
            f"{found.rule} at {iso(found.ts)}: {found.message}"
            for found in market.findings
            if found.symbol == one.symbol
        ],
    }
