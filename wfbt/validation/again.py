"""The same strategy on an altered market: what it chose stays, what it then decides follows what it sees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from wfbt.data.market import Market
from wfbt.engine.closed_loop import Watching, stitched
from wfbt.engine.intents import Lowering, Said
from wfbt.engine.setup import Setup
from wfbt.engine.tape import lay_out
from wfbt.policy.frames import market_frames
from wfbt.validation.realism import Decided
from wfbt.validation.sleeves import Portfolio, PortfolioFold, PortfolioWalk, pair_market, said_again
from wfbt.validation.walk_forward import Study, View, WalkForward, spans_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ran:
    """A finished walk, and all it takes to have it decide again.

    Attributes
    ----------
    study : Study or Portfolio
    walk : WalkForward
    seed : int
        Of the latency draws.
    said : mapping of (place of the fold, first bar of the block) to Said
        What was decided; empty of a portfolio, whose sleeves carry what stands from block to block.
    """

    study: Study | Portfolio
    walk: WalkForward
    seed: int
    said: Mapping[tuple[int, int], Said | Watching]

    @classmethod
    def of(cls, study: Study | Portfolio, walk: WalkForward, seed: int) -> Ran:
        """`walk` of `study`, asked once more what it decided."""
        if isinstance(study, Portfolio):
            return cls(study=study, walk=walk, seed=seed, said={})
        whole: dict[object, Said | Watching] = {}
        said = {}
        for place, block in walk.route:
            chosen = walk.folds[place].trial.chosen
            key = (place, chosen) if study.fitted else chosen
            if key not in whole:
                whole[key] = study.say(chosen, walk.views[place])
            said[place, block.start] = whole[key].within(*spans_of(study.deck, [block])[0])
        return cls(study=study, walk=walk, seed=seed, said=said)

    @property
    def market(self) -> Market:
        """What was traded, one instrument a symbol."""
        return self.plain.lowering.market

    @property
    def plain(self) -> Study:
        """The study, or that of the first sleeve: all have one market and one deck of symbols."""
        return self.study if isinstance(self.study, Study) else self.study.members[0].study

    def on(self, market: Market, shown: Market, setup: Callable[[Setup], Setup] | None = None) -> Study | Portfolio:
        """The study laid out on `market`, deciding from `shown`; `setup` alters what is beside the market."""
        given = self.plain.lowering.setup
        deck = self.plain.deck
        if market is not self.market:
            market = borne(market)
        if market is not self.market or setup is not None:
            deck = lay_out(market, setup(given) if setup else given, self.seed)
        lowering = Lowering(shown, deck, given)
        frames = market_frames(shown) if shown is not self.market else None

        def own(study: Study) -> Study:
            seen = study.frames if frames is None else {symbol: frames[symbol] for symbol in study.frames}
            return replace(study, deck=deck, frames=seen, lowering=lowering)

        if isinstance(self.study, Study):
            return own(self.study)
        members = tuple(replace(one, study=own(one.study)) for one in self.study.members)
        book, book_lowering = deck, lowering
        if not self.study.netting:
            pairs = {one.name: one.symbols for one in members}
            shared = self.study.book_lowering.setup
            book = lay_out(pair_market(market, pairs), setup(shared) if setup else shared, self.seed)
            book_lowering = Lowering(pair_market(shown, pairs), book, shared)
        return replace(self.study, members=members, book=book, book_lowering=book_lowering)

    def decides(self, there: Study | Portfolio, since: int) -> Decided:
        """What is decided on the altered market that `there` is laid out on, from decision bar `since` on.

        Blocks tested before it are decided as they were.  Later ones keep the fold's parameters and weights; what is
        fitted on training rows is fitted anew, on the rows as they are now, and is the same while these are older.
        """
        walk, parts = self.walk, []
        carried: dict[str, float] = {}
        whole: dict[int, Said | Watching] = {}
        for place, block in walk.route:
            fold = walk.folds[place]
            early = block.stop <= since
            if isinstance(there, Study):
                if early:
                    parts.append(self.said[place, block.start])
                    continue
                chosen = fold.trial.chosen
                if there.fitted or chosen not in whole:
                    whole[chosen] = there.say(chosen, _view(there, place, walk))
                parts.append(whole[chosen].within(*spans_of(there.deck, [block])[0]))
                continue
            assert isinstance(self.study, Portfolio) and isinstance(walk, PortfolioWalk)
            assert isinstance(fold, PortfolioFold)
            portfolio = self.study if early else there
            views = {
                one.name: walk.alone[one.name].views[place] if early else _view(one.study, place, walk.alone[one.name])
                for one in portfolio.members
            }
            span = (int(block.start), int(block.stop))
            parts.append(said_again(portfolio, fold.sleeves, views, span, carried))
        if isinstance(there, Study):
            shown = [
                (walk.views[place] if block.stop <= since else _view(there, place, walk), block)
                for place, block in walk.route
            ]
            book = there.judged(shown) if there.forecast_limit else there.deck
        else:
            book = there.book
        heard = stitched(parts)
        if isinstance(heard, Watching):
            # Whatever stands before the event was made on the run's own deck, and the account lives on this one.
            return replace(walk.decided, deck=book, watching=heard).asked_again()
        return replace(walk.decided, deck=book, intents=heard.intents())


def _view(study: Study, place: int, walk: WalkForward) -> View:
    """What the fold at `place` is shown on an altered market."""
    return study.view(walk.folds[place].fold) if study.fitted else View(frames=study.frames)


def borne(market: Market) -> Market:
    """A market that never was, with ticks that its lowest prices can bear: tenths of those given.

    A venue does the same where a price has collapsed; refusing the market would leave the worst ones out.
    """
    changed = {}
    for one in market.instruments:
        tick, least = one.contract.tick, float(one.bars.low.min())
        while tick > least / 10.0 > 0:
            tick /= 10.0
        if tick != one.contract.tick:
            changed[one.symbol] = replace(one, contract=replace(one.contract, tick=tick))
    if not changed:
        return market
    return replace(market, instruments=tuple(changed.get(one.symbol, one) for one in market.instruments))
