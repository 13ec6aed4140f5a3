"""Several strategies as sleeves of one account: each chooses alone, the account trades their weighted targets.

In each fold a sleeve searches its own candidates as if it had the whole account; the weights are fitted on what the
chosen ones returned on that fold's training rows.  Netted, the sleeves of a symbol are one position; not netted, each
(sleeve, symbol) pair is a position of its own in the shared account, a column of the deck named `symbol@sleeve`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import Market
from wfbt.engine.backtest import replay_ledger, span
from wfbt.engine.intents import Lowering, Said
from wfbt.engine.latency import Latency
from wfbt.engine.sweep import replay_lanes
from wfbt.engine.tape import Deck
from wfbt.errors import ConfigError
from wfbt.features.learners import FitRows
from wfbt.kernels.abi import Rules
from wfbt.ledger.chain import Chain
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import objective
from wfbt.policy.base import NAMES, Columns
from wfbt.policy.composite import standing, taken
from wfbt.validation.allocation import SHRUNK, shrinkage, weights
from wfbt.validation.folds import Fold, paths
from wfbt.validation.realism import Decided
from wfbt.validation.walk_forward import (
    FoldResult,
    Memory,
    Study,
    Trial,
    View,
    WalkForward,
    followed,
    in_one,
    lane_returns,
    part_of,
    rows_of,
    training_times,
    walk_forward,
)

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

DIGITS = 12
"""Decimals of a netted target: 0.1 + 0.2 − 0.3 is to be 0, not an order for the 17th digit."""


def pair_name(symbol: str, sleeve: str) -> str:
    """What the ledger calls a symbol as one sleeve holds it."""
    return f"{symbol}@{sleeve}"


def parts_of(pair: str) -> tuple[str, str]:
    """Symbol and sleeve of a pair; a sleeve's name has no @, a symbol's may."""
    symbol, _, sleeve = pair.rpartition("@")
    return symbol, sleeve


def pair_market(market: Market, members: Mapping[str, Sequence[str]]) -> Market:
    """`market` with an instrument of its own for each sleeve's symbols, by sleeve and then in the market's order."""
    return replace(
        market,
        instruments=tuple(
            replace(one, bars=replace(one.bars, symbol=pair_name(one.symbol, sleeve)))
            for sleeve, symbols in members.items()
            for one in market.instruments
            if one.symbol in symbols
        ),
    )


class PairLatency(Latency):
    """The delays and price draws of a pair are its symbol's: orders of one symbol at one bar travel together."""

    @classmethod
    def of(cls, latency: Latency) -> PairLatency:
        """The same distributions."""
        return cls(**{field.name: getattr(latency, field.name) for field in fields(latency)})

    def delays(self, seed: int, symbol: str, ts: I8) -> I8:
        """(T,) ns, as those of the symbol alone."""
        return Latency.delays(self, seed, parts_of(symbol)[0], ts)

    def price_draws(self, seed: int, symbol: str, ts: I8) -> F8:
        """(T,) standard normal, as those of the symbol alone."""
        return Latency.price_draws(self, seed, parts_of(symbol)[0], ts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sleeve:
    """One strategy of the account.

    Attributes
    ----------
    study : Study
        The strategy alone with the whole account, on the deck of all symbols; its `frames` are those it trades.
    weight : float or None
        Its share of the account, for method fixed.
    """

    name: str
    study: Study
    weight: float | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """What it trades, in the market's order."""
        return tuple(symbol for symbol in self.study.deck.symbols if symbol in self.study.frames)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portfolio:
    """Sleeves, how the account is divided among them, and the account's own deck.

    Attributes
    ----------
    members : tuple of Sleeve
        All on one deck, under one set of rules and one objective.
    method, max_weight, shrink
        As in `allocation.weights`.
    netting : bool
    book : Deck
        What the account trades: the members' own deck when netted, else one column per pair.
    book_lowering : Lowering
        Onto `book`.
    """

    members: tuple[Sleeve, ...]
    method: str
    max_weight: float
    shrink: bool
    netting: bool
    book: Deck
    book_lowering: Lowering

    @property
    def deck(self) -> Deck:
        """The market, one column per symbol."""
        return self.members[0].study.deck

    @property
    def lowering(self) -> Lowering:
        """Onto `deck`."""
        return self.members[0].study.lowering

    @property
    def rules(self) -> Rules:
        """Account, costs, sizing, exits and limits."""
        return self.members[0].study.rules

    @property
    def objective(self) -> str:
        """What every sleeve's search maximises."""
        return self.members[0].study.objective

    @property
    def tried(self) -> int:
        """Candidates of all sleeves together."""
        return sum(len(member.study.candidates) for member in self.members)

    @property
    def shrunk(self) -> bool:
        """Whether weights are fitted on a covariance that is drawn to a target."""
        return self.shrink and self.method in SHRUNK

    @property
    def jobs(self) -> int:
        """Threads."""
        return self.members[0].study.jobs


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SleeveFold:
    """One sleeve in one fold: its share, what it chose, and everything it tried.  `trial` is of the sleeve alone."""

    name: str
    weight: float
    params: Mapping[str, Any]
    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PortfolioFold(FoldResult):
    """One fold of the whole account.

    `params` are the sleeves' as `sleeve.parameter`; `trial` has one candidate, the account itself; `in_sample` is that
    account on the training rows.  The weights in `sleeves` were fitted on the decision bars of `fold.train` alone, on a
    covariance of which `shrinkage`, 0..1, is the target of Ledoit and Wolf.
    """

    sleeves: tuple[SleeveFold, ...]
    shrinkage: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PortfolioWalk(WalkForward):
    """All folds of the account, and `alone`: each sleeve's own walk with the whole account to itself."""

    folds: tuple[PortfolioFold, ...]
    alone: Mapping[str, WalkForward]


def walk_sleeves(
    portfolio: Portfolio,
    folds: Sequence[Fold],
    memory: Callable[[str], Memory | None] = lambda sleeve: None,
    progress: Progress = lambda what, done, total: None,
) -> PortfolioWalk:
    """Walk every sleeve through `folds`, weigh them in each, and replay the account that trades them all.

    `memory(sleeve)` keeps a sleeve's finished folds.  ConfigError where blocks are tested by several folds.
    """
    if len(paths(folds)) > 1:
        raise ConfigError(
            "folds.scheme: cpcv is not walked with sleeves: each path would be an account whose sleeves chose and were "
            "weighed in other folds, and their own walks have no such path; use purged, or walk a sleeve by itself"
        )
    if watching := [member.name for member in portfolio.members if member.study.rule.watches]:
        raise ConfigError(
            f"sleeves: {watching[0]} has a network that watches its account, and sleeves share one; let it see nothing "
            "of its account, or run it by itself"
        )
    alone: dict[str, WalkForward] = {}
    for member in portfolio.members:

        def told(what: str, done: int, total: int, name: str = member.name) -> None:
            progress(f"{name}: {what}", done, total)

        alone[member.name] = walk_forward(member.study, folds, memory(member.name), told)
    book, rules = portfolio.book, portfolio.rules
    parts: list[Said] = []
    carried: dict[str, float] = {}
    results: list[tuple[Ledger | Chain, Trial, tuple[SleeveFold, ...]]] = []
    for place, fold in enumerate(folds):
        test = rows_of(fold.test)
        shares = _shares(portfolio, place, fold, alone)
        views = {name: walk.views[place] for name, walk in alone.items()}
        wants = {
            member.name: member.study.columns(share.trial.chosen, views[member.name])
            for member, share in zip(portfolio.members, shares, strict=True)
        }
        pages, forecast = pages_of(portfolio, shares, wants), forecast_of(views)
        train = [(int(block.start), int(block.stop)) for block in fold.train]
        learnt = [say_pages(portfolio, pages, forecast, block, {}).intents() for block in train]
        trial = _tried(portfolio, [*learnt, say_pages(portfolio, pages, forecast, test, {}).intents()], [*train, test])
        parts.append(say_pages(portfolio, pages, forecast, test, carried))
        in_sample = in_one([replay_ledger(book, own, rules, *block) for own, block in zip(learnt, train, strict=True)])
        results.append((in_sample, trial, shares))
    first, last = rows_of(folds[0].test)[0], rows_of(folds[-1].test)[1]
    intents = Said.stitched(parts).intents()
    decided = Decided(deck=book, rules=rules, intents=intents, first=first, last=last)
    ledger = followed(decided)
    kept = []
    for place, (fold, (in_sample, trial, shares)) in enumerate(zip(folds, results, strict=True)):
        (block,) = fold.test
        kept.append(
            PortfolioFold(
                fold=fold,
                params={f"{one.name}.{key}": value for one in shares for key, value in one.params.items()},
                trial=trial,
                in_sample=in_sample,
                out_of_sample=part_of(ledger, block, first, book),
                sleeves=shares,
                fits=(
                    *(one for walk in alone.values() for one in walk.folds[place].fits),
                    *_weighed_on(portfolio, fold),
                ),
                shrinkage=shrinkage(_learnt(shares)) if portfolio.shrunk else 0.0,
            )
        )
    return PortfolioWalk(folds=tuple(kept), ledger=ledger, decided=decided, alone=alone)


def _shares(portfolio: Portfolio, place: int, fold: Fold, alone: Mapping[str, WalkForward]) -> tuple[SleeveFold, ...]:
    """Fit the weights of one fold on the training returns of what its sleeves have chosen."""
    own = [alone[member.name].folds[place] for member in portfolio.members]
    given = [member.weight for member in portfolio.members if member.weight is not None]
    try:
        fitted = weights(
            np.stack([one.trial.train_returns[one.trial.chosen] for one in own], axis=1),
            portfolio.method,
            given=given or None,
            max_weight=portfolio.max_weight,
            shrink=portfolio.shrink,
        )
    except ConfigError as error:
        raise ConfigError(f"fold {fold.index + 1}: sleeves.{error}") from error
    return tuple(
        SleeveFold(name=member.name, weight=float(weight), params=one.params, trial=one.trial)
        for member, weight, one in zip(portfolio.members, fitted, own, strict=True)
    )


def _weighed_on(portfolio: Portfolio, fold: Fold) -> tuple[FitRows, ...]:
    """The rows whose returns the weights were fitted on: every training row of every symbol; nothing for fixed ones."""
    if portfolio.method == "fixed":
        return ()
    deck, train = portfolio.deck, training_times(portfolio.deck, fold)
    return tuple(
        FitRows(what="sleeves.allocation", symbol=symbol, rows=own[np.isin(own, train)])
        for symbol, own in (
            (symbol, deck.close_ts[place]) for symbol, place in zip(deck.symbols, deck.places, strict=True)
        )
    )


def _learnt(shares: Sequence[SleeveFold]) -> F8:
    """(D, S) daily returns, on the fold's training rows, of what each sleeve has chosen."""
    return np.stack([one.trial.train_returns[one.trial.chosen] for one in shares], axis=1)


def pages_of(
    portfolio: Portfolio, shares: Sequence[SleeveFold], wants: Mapping[str, Mapping[str, Columns]]
) -> dict[str, Columns]:
    """What each pair's sleeve wants on the whole span, targets times its weight, of what the sleeves want by name."""
    return {
        pair_name(symbol, member.name): _weighted(wants[member.name][symbol], share.weight)
        for member, share in zip(portfolio.members, shares, strict=True)
        for symbol in member.symbols
    }


def forecast_of(views: Mapping[str, View]) -> dict[str, F8] | None:
    """The sleeves' forecasts by symbol and by pair; sleeves of one symbol have learnt the same."""
    own = {name: view.forecast for name, view in views.items() if view.forecast is not None}
    if not own:
        return None
    pairs = {pair_name(symbol, name): column for name, told in own.items() for symbol, column in told.items()}
    return pairs | {symbol: column for told in own.values() for symbol, column in told.items()}


def say_pages(
    portfolio: Portfolio,
    pages: Mapping[str, Columns],
    forecast: Mapping[str, F8] | None,
    rows: tuple[int, int],
    carried: dict[str, float],
) -> Said:
    """What the account is told on decision bars `rows`; `carried` holds what stands of each pair, and is moved on."""
    columns = _net(portfolio.deck, pages, rows, carried) if portfolio.netting else pages
    return portfolio.book_lowering.say(columns, forecast).within(*span(portfolio.book, *rows))


def said_again(
    portfolio: Portfolio,
    shares: Sequence[SleeveFold],
    views: Mapping[str, View],
    rows: tuple[int, int],
    carried: dict[str, float],
) -> Said:
    """What the account is told on decision bars `rows` by sleeves that keep their choices and `shares` of it.

    `portfolio` may be one on an altered market, and `views` what its sleeves see there.  `carried` is moved on.
    """
    chosen = {share.name: share.trial.chosen for share in shares}
    wants = {one.name: one.study.columns(chosen[one.name], views[one.name]) for one in portfolio.members}
    pages = pages_of(portfolio, shares, wants)
    return say_pages(portfolio, pages, forecast_of(views), rows, carried)


def _weighted(wants: Columns, weight: float) -> Columns:
    """What a sleeve wants, on its share of the account; either leg of an order is a target."""
    other = None if wants.other is None else weight * wants.other
    return replace(wants, target=weight * wants.target, other=other)


def _net(
    deck: Deck, pages: Mapping[str, Columns], rows: tuple[int, int], carried: dict[str, float]
) -> dict[str, Columns]:
    """One target per symbol: the sum of its sleeves' last numbers, named where any of them names one."""
    out = {}
    for symbol, places in zip(deck.symbols, deck.places, strict=True):
        pairs = [pair for pair in pages if parts_of(pair)[0] == symbol]
        if len(pairs) == 1:
            out[symbol] = pages[pairs[0]]
            continue
        low, high = np.searchsorted(places, rows)
        for pair in pairs:
            _check_bare(pair, pages[pair])
        target = np.full(len(places), np.nan)
        target[low:high], stands = netted(
            [pages[pair].target[low:high] for pair in pairs], [carried.get(pair, 0.0) for pair in pairs]
        )
        carried.update(zip(pairs, stands, strict=True))
        out[symbol] = Columns(target=target)
    return out


def netted(targets: Sequence[F8], carried: Sequence[float]) -> tuple[F8, list[float]]:
    """(T,) sum of the last number of each of `targets`, (T,), where any names one, else NaN; and their last numbers.

    `carried` stand until the first: 0 of one that never spoke.
    """
    total, spoken = np.zeros(len(targets[0])), np.zeros(len(targets[0]), np.bool_)
    stands = []
    for target, before in zip(targets, carried, strict=True):
        said = np.append(before, target)
        standing_now = taken(said, standing(said))
        stands.append(float(standing_now[-1]))
        total += standing_now[1:]
        spoken |= ~np.isnan(target)
    return np.where(spoken, np.round(total, DIGITS), np.nan), stands


def _check_bare(pair: str, wants: Columns) -> None:
    given = [name for name in NAMES[1:] if (one := getattr(wants, name)) is not None and not np.isnan(one).all()]
    symbol, sleeve = parts_of(pair)
    if wants.scale is not None:
        raise ConfigError(
            f"sizing.scale.regimes: {symbol} is traded by {sleeve} and by another sleeve, each with regimes of its "
            "own, and one position has one size; set sleeves.netting false"
        )
    if given:
        raise ConfigError(
            f"sleeves.netting: {sleeve} puts out {' and '.join(given)} for {symbol}, which another sleeve trades too, "
            "and one position cannot have the brackets of several; set netting false, or let the rule put out none "
            "(ema_rsi_adx: stop_atr null, take_atr null) and give exits: for the net position"
        )


def _tried(portfolio: Portfolio, intents: Sequence[npt.NDArray[np.void]], blocks: Sequence[tuple[int, int]]) -> Trial:
    """The account alone on each block of training rows and alone on the last, the test, as a trial of one candidate."""
    book, rules = portfolio.book, portfolio.rules
    spans = [span(book, *block) for block in blocks]
    lanes = replay_lanes(book, intents, spans, rules, portfolio.jobs)
    returns = [lane_returns(book, lanes.daily[i : i + 1], *one, rules.cash) for i, one in enumerate(spans)]
    *learnt, tested = returns
    train_returns = np.concatenate(learnt, axis=1)
    trips = lanes.tallies["trips"]
    return Trial(
        scores=objective(portfolio.objective, train_returns, book.calendar.periods_per_year),
        chosen=0,
        train_returns=train_returns,
        test_returns=tested,
        round_trips=np.array([[trips[:-1].sum(), trips[-1]]]),
    )
