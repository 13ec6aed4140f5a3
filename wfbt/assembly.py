"""From a strategy's plain values to the things that run: market, venue, study, folds, benchmark."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.config import schema
from wfbt.config.load import resolved
from wfbt.config.policies import Policy as PolicySection
from wfbt.data.load import load_market
from wfbt.data.market import DAY, Market
from wfbt.engine.account import Account
from wfbt.engine.backtest import replay_ledger
from wfbt.engine.exposure import Exposure
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import Deck, lay_out
from wfbt.errors import ConfigError
from wfbt.features.forecast import Volatility
from wfbt.features.learners import Learner
from wfbt.features.market_regimes import RegimeLearner, clock_of, regime_plan
from wfbt.kernels.abi import Rules
from wfbt.ledger.ledger import Ledger
from wfbt.policies import candidates_of, enrolled, networks_of, sections_of
from wfbt.policy.base import Columns, Policy
from wfbt.policy.frames import market_frames
from wfbt.policy.taught import Taught
from wfbt.schools import schools_of, taught_in
from wfbt.setups import account_of, measured_delays, setup_of
from wfbt.validation.folds import Fold, ends_of, learnt_before, over_time, overlapping, windows
from wfbt.validation.predictions import check_predictions
from wfbt.validation.sleeves import PairLatency, Portfolio, Sleeve, pair_market, parts_of
from wfbt.validation.unseen import check_unseen
from wfbt.validation.walk_forward import Study, WalkForward, tested_rows
from wfbt.validation.window_matrix import Pair, window_matrix

I8 = npt.NDArray[np.int64]

FILES = ("bars", "funding", "mark", "execution_bars")


def identity_of(config: schema.Strategy) -> dict[str, Any]:
    """The strategy without the places of its files: what they hold is hashed instead."""
    tree = resolved(config)
    for symbol in tree["data"]["symbols"].values():
        for key in FILES:
            symbol[key] = symbol[key] is not None
    for series in tree["data"]["series"].values():
        del series["path"]
        series["manifest"] = series["manifest"] is not None
    for named in _made_of(tree):
        if named["rule"] is not None:
            named["rule"] = named["rule"].rpartition(":")[2]
        named["model"] = named["model"] is not None
    for delay in tree["latency"].values():
        if isinstance(delay, dict) and delay.get("file"):
            delay["file"] = measured_delays(config.locate(delay["file"]))
    # What the venue and the file of tiers say is spelled out where it applies.
    del tree["trials"], tree["venue"], tree["account"]["tiers"]
    return tree


def seen_from(config: schema.Strategy, folder: Path) -> dict[str, Any]:
    """The resolved strategy with paths as they are seen from the run folder, so that it can be run there again."""
    tree, real = resolved(config), os.path.realpath(folder)

    def seen(path: str) -> str:
        return path if "://" in path else os.path.relpath(os.path.realpath(config.locate(path)), real)

    for symbol in tree["data"]["symbols"].values():
        for key in FILES:
            symbol[key] = symbol[key] and seen(symbol[key])
    for series in tree["data"]["series"].values():
        series["path"] = seen(series["path"])
        series["manifest"] = series["manifest"] and seen(series["manifest"])
    for delay in tree["latency"].values():
        if isinstance(delay, dict) and delay.get("file"):
            delay["file"] = seen(delay["file"])
    tree["trials"] = tree["trials"] and seen(tree["trials"])
    # What a file of tiers or of a venue says is spelled out where it applies.
    tree["account"]["tiers"] = None
    if tree["venue"] and tree["venue"].endswith((".yaml", ".yml")):
        tree["venue"] = None
    for named in _made_of(tree):
        place, colon, attr = (named["rule"] or "").rpartition(":")
        if colon and (place.endswith(".py") or "/" in place):
            named["rule"] = f"{seen(place)}:{attr}"
        named["model"] = named["model"] and seen(named["model"])
    return tree


def _made_of(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """The mappings of a resolved strategy that name a rule or a model."""
    policies = [one["policy"] for one in tree["sleeves"]["members"].values()] if tree["sleeves"] else [tree["policy"]]
    places = []
    for policy in policies:
        hybrid, ensemble = policy["hybrid"] or {}, policy["ensemble"] or []
        places += [policy, *(hybrid[side] for side in ("propose", "confirm") if side in hybrid), *ensemble]
        places += [part for part in (policy["rotate"] or {}).values() if part is not None]
    return [place for place in places if place["rule"] is not None or place["model"] is not None]


def rules_in(study: Study | Portfolio) -> dict[str, Policy]:
    """What decides, by sleeve; the one policy of a study under the empty name."""
    if isinstance(study, Study):
        return {"": study.rule}
    return {member.name: member.study.rule for member in study.members}


def read_market(config: schema.Strategy) -> Market:
    """The market of a strategy over its span, repaired only as it asks."""
    symbols: dict[str, dict[str, Any]] = {}
    for name, given in config.data.symbols.items():
        paths = {
            key: config.locate(path)
            for key in ("bars", "funding", "mark", "execution_bars", "trades")
            if (path := getattr(given, key)) is not None
        }
        symbols[name] = {
            **paths,
            "contract": given.contract.model_dump(),
            "impact": given.impact,
            "volume": given.volume,
            "adv": given.adv,
        }
    repair = [_selection(one, accept=False) for one in config.quality.repair]
    repair += [_selection(one, accept=True) for one in config.quality.accept]
    return load_market(
        symbols,
        start=pd.Timestamp(int(config.data.start), unit="ns", tz="UTC"),
        end=pd.Timestamp(int(config.data.end), unit="ns", tz="UTC"),
        max_missing=config.quality.max_missing,
        repair=repair,
        series={
            name: given.model_dump(exclude={"predictions", "manifest"}) | {"path": config.locate(given.path)}
            for name, given in config.data.series.items()
        },
        timeframes=config.data.timeframes,
    )


def _selection(given: schema.Selection, *, accept: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"rule": given.finding, "accept": accept}
    if given.symbol is not None:
        out["symbol"] = given.symbol
    for key, moment in (("from", given.start), ("to", given.end)):
        if moment is not None:
            out[key] = pd.Timestamp(int(moment), unit="ns", tz="UTC")
    return out


def dropped_note(count: int) -> list[str]:
    """Say how many candidates the rule refused."""
    if not count:
        return []
    what = "1 candidate of the search was" if count == 1 else f"{count} candidates of the search were"
    return [f"{what} dropped: the rule calls such values invalid"]


def short_of(config: schema.Strategy, market: Market) -> list[str]:
    """Where the files end before the strategy's span does."""
    notes = []
    for one in market.instruments:
        begins, ends = int(one.bars.open_ts[0]), int(one.bars.close_ts[-1])
        if begins - int(config.data.start) > DAY or int(config.data.end) - ends > DAY:
            span = " to ".join(f"{pd.Timestamp(ts, tz='UTC'):%Y-%m-%d}" for ts in (begins, ends))
            notes.append(f"{one.symbol}: its bars cover {span}, less than data.start to data.end")
    return notes


def untiered(config: schema.Strategy) -> list[str]:
    """Which symbols have no margin tiers where others do: a venue may not know them, or their name is mistyped."""
    symbols = config.data.symbols
    bare = [name for name, given in symbols.items() if not given.tiers]
    if not bare or len(bare) == len(symbols):
        return []
    rate = f"{config.account.maintenance:.3g}"
    return [f"{', '.join(bare)}: no margin tiers are given, so account.maintenance {rate} holds for any notional"]


def study_of(
    config: schema.Strategy, market: Market, policies: Mapping[str, Policy], jobs: int, models: Path | None = None
) -> tuple[Study | Portfolio, list[Fold], int]:
    """The study or the sleeves, the folds, and how many candidates of the search the rules call invalid.

    `models` is the folder of what is trained; None: the usual one.
    """
    setup = setup_of(config, market.period)
    deck = lay_out(market, setup, config.seed)
    rules = rules_of(setup, deck.horizon)
    lowering, frames = Lowering(market, deck, setup), market_frames(market)
    if config.policy is not None and taught_in(config):
        teachers = schools_of(
            config, market=market, setup=setup, lowering=lowering, rules=rules, frames=frames,
            learners=learners_of(config, config.policy, market, deck, frames), regime_scale=regime_scale(config),
            store=models,
        )  # fmt: skip
        policies = {name: enrolled(policy, teachers) for name, policy in policies.items()}
    studies, dropped = {}, 0
    for name, (given, section) in sections_of(config).items():
        found = candidates_of(given, policies[name], section)
        dropped += found.dropped
        symbols = _symbols_of(config, name)
        own = {symbol: frame for symbol, frame in frames.items() if symbol in symbols}
        studies[name] = Study(
            deck=deck,
            frames=own,
            rule=policies[name],
            candidates=found.params,
            lowering=lowering,
            rules=rules,
            objective=config.folds.objective,
            jobs=jobs,
            learners=learners_of(config, given, market, deck, own),
            scale=regime_scale(config),
            forecast_limit=config.volatility is not None and config.volatility.limit,
        )
    plan = plan_of(config, deck, label_ends(deck, list(studies.values())))
    _check_predictions(config, plan, deck)
    check_models(config, plan, deck, studies.values())
    if config.sleeves is None:
        return studies[""], plan, dropped
    book, book_lowering = deck, lowering
    if not config.sleeves.netting:
        pairs = pair_market(market, {name: _symbols_of(config, name) for name in studies})
        shared = replace(setup, latency=PairLatency.of(setup.latency), account=_of_pairs(setup.account, pairs))
        book = lay_out(pairs, shared, config.seed)
        book_lowering = Lowering(pairs, book, shared)
    portfolio = Portfolio(
        members=tuple(
            Sleeve(name=name, study=study, weight=config.sleeves.members[name].weight)
            for name, study in studies.items()
        ),
        method=config.sleeves.allocation.method,
        max_weight=config.sleeves.allocation.max_weight,
        shrink=config.sleeves.allocation.shrink,
        netting=config.sleeves.netting,
        book=book,
        book_lowering=book_lowering,
    )
    return portfolio, plan, dropped


def learners_of(
    config: schema.Strategy, policy: PolicySection, market: Market, deck: Deck, frames: Mapping[str, pd.DataFrame]
) -> tuple[Learner, ...]:
    """What is fitted anew on every fold's training rows; each sees the columns of those before it.

    `frames` are those of the symbols that the policy trades.
    """
    learners: list[Learner] = []
    if config.volatility is not None:
        given = config.volatility
        learners.append(
            Volatility(
                model=given.model,
                dist=given.dist,
                horizon=int(given.horizon),
                period=market.period,
                days_a_year=deck.calendar.days_a_year,
                closes={one.symbol: one.bars.close_ts for one in market.instruments},
            )
        )
    plan = regime_plan(config.regimes, config.seed)
    seen = (config.regimes and config.regimes.show) or policy.rotate or config.sizing.scale.regimes
    if plan is not None and seen:
        learners.append(RegimeLearner(plan=plan, clock=clock_of(frames)))
    return tuple(learners)


def regime_scale(config: schema.Strategy) -> tuple[float, ...]:
    """What sizes are multiplied by in each regime; empty: nothing."""
    scaled = config.sizing.scale.regimes
    return tuple(scaled.get(name, 1.0) for name in config.regimes.names) if scaled and config.regimes else ()


def _symbols_of(config: schema.Strategy, sleeve: str) -> Sequence[str]:
    """What a sleeve trades: its own list, or everything."""
    own = config.sleeves.members[sleeve].symbols if config.sleeves is not None else None
    return own or tuple(config.data.symbols)


def _of_pairs(account: Account, pairs: Market) -> Account:
    """The account with the margin tiers of each pair's symbol."""
    tiers = {pair: account.tiers[symbol] for pair in pairs.symbols if (symbol := parts_of(pair)[0]) in account.tiers}
    return replace(account, tiers=tiers)


def label_ends(deck: Deck, studies: Sequence[Study]) -> I8 | None:
    """(T,) last bar that the label of each bar reads, by the longest horizon of any candidate; None without labels.

    A horizon counts the symbol's own bars, and the last of all symbols counts.  Increasing: a row before a later end is
    as little known.
    """
    horizon = max(study.rule.label_horizon(params) for study in studies for params in study.candidates)
    if not horizon:
        return None
    ends = np.arange(len(deck.decisions))
    for places in deck.places:
        ahead = places[np.minimum(np.arange(len(places)) + horizon, len(places) - 1)]
        ends[places] = np.maximum(ends[places], ahead)
        ends[places[max(0, len(places) - horizon) :]] = len(ends) - 1  # what these read is not in the data
    return np.maximum.accumulate(ends)


def _check_predictions(config: schema.Strategy, folds: Sequence[Fold], deck: Deck) -> None:
    """ArtifactError where a model's predictions would be tested on what the model may have seen."""
    for name, series in config.data.series.items():
        if series.predictions:
            manifest = series.manifest and config.locate(series.manifest)
            check_predictions(name, config.locate(series.path), manifest, folds, deck, int(config.folds.embargo))


def check_models(config: schema.Strategy, folds: Sequence[Fold], deck: Deck, studies: Iterable[Study]) -> None:
    """ArtifactError where a model would be tested on rows of its training window, or nearer to it than an embargo."""
    for study in studies:
        for model in networks_of(study.rule).values():
            if isinstance(model, Taught):
                continue  # each fold trains its own, on its own training rows
            check_unseen(model.place, model.artifact.manifest, folds, deck, int(config.folds.embargo))


def plan_of(config: schema.Strategy, deck: Deck, ends: I8 | None) -> list[Fold]:
    """The folds of a strategy; `ends` (T,) is the last bar that the label of each bar reads, None without labels."""
    given, close = config.folds, deck.close_ts
    if given.matrix is not None and given.scheme not in ("rolling", "anchored"):
        raise ConfigError(
            f"folds.matrix is of walk-forward windows, and folds.scheme {given.scheme} has none; leave it out"
        )
    automatic = given.purge == "auto"
    plan = over_time(
        close - deck.period,
        int(close[-1]),
        given.count,
        int(given.train),
        None if given.test == "auto" else int(given.test),
        0 if automatic else int(given.purge),
        int(given.embargo),
        scheme=given.scheme,
        groups_out=given.groups_out,
        label_end=ends if automatic else None,
    )
    if ends is not None and (met := sum(overlapping(fold, ends) for fold in plan)):
        raise ConfigError(
            f"folds.purge: {given.purge} leaves {met} training rows whose labels meet those of test rows, by the "
            "label_horizon that the policy declares; use auto"
        )
    return plan


def matrix_of(
    config: schema.Strategy, study: Study | Portfolio, walk: Callable[[Sequence[Fold]], WalkForward]
) -> tuple[Pair, ...]:
    """The walk-forwards of folds.matrix; empty without."""
    given, close = config.folds, study.deck.close_ts
    if given.matrix is None:
        return ()
    studies = [study] if isinstance(study, Study) else [member.study for member in study.members]

    def cleared(folds: Sequence[Fold]) -> WalkForward:
        _check_predictions(config, folds, study.deck)
        check_models(config, folds, study.deck, studies)
        return walk(folds)

    return window_matrix(
        cleared,
        close - study.deck.period,
        int(close[-1]),
        [int(train) for train in given.matrix.train],
        [int(test) for test in given.matrix.test],
        0 if given.purge == "auto" else int(given.purge),
        int(given.embargo),
        label_ends(study.deck, studies) if given.purge == "auto" else None,
        anchored=given.scheme == "anchored",
    )


def moved_plan(config: schema.Strategy, study: Study | Portfolio, share: float) -> list[Fold]:
    """The folds of a walk-forward whose borders come `share` of a test window later; the last border stays."""
    given, close, deck = config.folds, study.deck.close_ts, study.deck
    opens, end = close - deck.period, int(close[-1])
    borders = windows(opens, end, given.count, int(given.train), None if given.test == "auto" else int(given.test))
    studies = [study] if isinstance(study, Study) else [member.study for member in study.members]
    automatic = given.purge == "auto"
    step = round(share * (borders[1] - borders[0]))
    return list(
        learnt_before(
            opens,
            [*(border + step for border in borders[:-1]), borders[-1]],
            int(given.train),
            0 if automatic else int(given.purge),
            int(given.embargo),
            ends_of(opens, label_ends(deck, studies) if automatic else None),
            anchored=given.scheme == "anchored",
        )
    )


def buy_and_hold(study: Study | Portfolio, config: schema.Strategy, plan: Sequence[Fold]) -> Ledger:
    """All cash into the symbols in equal parts at the first test bar, held to the last, at the same trading costs.

    Without funding, as a holder of the asset itself would: units of a perpetual held for years through rich funding end
    in liquidation, and a benchmark that dies flatters everything beside it.
    """
    venue = study.deck.venue._replace(bounds=Exposure().bounds())
    deck = replace(study.deck, stamps=study.deck.stamps[:0], venue=venue)
    first, last = tested_rows(plan)
    # An inverse account is in the coin: holding it is to hold no contract.
    weight = 0.0 if deck.contracts["inverse"][0] else 1.0 / len(deck.symbols)
    columns = {one.symbol: Columns(target=np.full(len(one.bars), weight)) for one in study.lowering.market.instruments}
    plain = Lowering(study.lowering.market, deck, Setup())
    start = int(deck.decisions[first - 1]) + 1 if first else 0
    stop = int(deck.decisions[last - 1]) + 1
    intents = plain.say(columns).heard_from([start]).between(start, stop)
    account = account_of(config)
    rules: Rules = study.rules._replace(
        leverage=float(account.leverage),
        size=0,
        at_fill=False,
        max_position=np.inf,
        band=np.inf,
        time_exit=0,
        daily_loss=np.inf,
        drawdown=np.inf,
        losses=0,
        participation=np.inf,
        hourly=np.inf,
        min_interval=0,
        schedule=0,
        isolated=False,
        ratchet_after=np.inf,
        follow=False,
    )
    return replay_ledger(deck, intents, rules, first, last)
