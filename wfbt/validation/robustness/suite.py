"""Every question of robustness, asked of a finished walk by replaying its policy or its decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.config.robustness import Robustness
from wfbt.engine.backtest import span
from wfbt.engine.tape import lay_out
from wfbt.errors import ConfigError, PolicyError
from wfbt.ledger import metrics
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import FEWEST_DAYS
from wfbt.validation.luck import daily
from wfbt.validation.realism import Decided, dearer
from wfbt.validation.robustness.neighbours import STEPS, neighbours
from wfbt.validation.robustness.noise import misread
from wfbt.validation.robustness.replays import Ask, Intents, returns_of, sharpes, stream
from wfbt.validation.robustness.resampled import resamples
from wfbt.validation.robustness.timing import delayed, entries, skipped
from wfbt.validation.robustness.verdicts import Base, Criterion, Told, judged, number, quantiles
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.walk_forward import Study, WalkForward

F8 = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]

DELAY, SKIP = 0x44454C59, 0x534B4950
"""Streams of draws."""

KEYS = ("params", "delay", "noise", "skip", "bootstrap", "costs", "latency", "offsets")
DEARER = 2.0
"""The multiple of all costs at which the account must still make something."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """The walk whose borders came `share` of a test window later; without a ledger, `why` it could not be walked."""

    share: float
    ledger: Ledger | None
    why: str = ""


def robustness(
    plan: Robustness,
    study: Study | Portfolio,
    walk: WalkForward,
    seed: int,
    moved: Sequence[Moved] | str,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """The section of result.json: one entry for each of KEYS, None and a reason where it is off or cannot be asked.

    Sharpe ratios are annualised and of daily net returns out of sample.  `moved` are the walks of `plan.offsets`, or
    why there are none.  Draws are keyed by (seed, test, number), so nothing depends on threads.
    """
    base = _base(walk)
    tests = _Tests(plan=plan, study=study, walk=walk, seed=seed, base=base, progress=progress)
    told = Told()
    told.put("base", base.sharpe, base.why)
    told.put("of", "annualised Sharpe ratio of the account's daily net returns out of sample")
    off = "it is switched off in the robustness section"
    told.put("params", *(tests.params() if plan.params else (None, off)))
    told.put("delay", tests.delay() if plan.delay else None, off)
    told.put("noise", tests.noise() if plan.noise else None, off)
    told.put("skip", tests.skip() if plan.skip else None, off)
    told.put("bootstrap", *(tests.bootstrap() if plan.bootstrap else (None, off)))
    told.put("costs", *(tests.costs() if plan.costs else (None, off)))
    told.put("latency", *(tests.latency() if plan.latency else (None, off)))
    if isinstance(moved, str):
        told.put("offsets", None, moved if plan.offsets else off)
    else:
        told.put("offsets", tests.offsets(moved) if plan.offsets else None, off)
    return told.done()


def _base(walk: WalkForward) -> Base:
    returns = daily(walk.ledger)
    if len(returns) < FEWEST_DAYS:
        return Base(sharpe=None, why=f"{len(returns)} days out of sample; below {FEWEST_DAYS} there is no Sharpe ratio")
    value = number(metrics.sharpe(returns, walk.ledger.calendar.periods_per_year))
    return Base(sharpe=value, why="" if value is not None else "the account did not move")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tests:
    plan: Robustness
    study: Study | Portfolio
    walk: WalkForward
    seed: int
    base: Base
    progress: Progress

    @property
    def decided(self) -> Decided:
        return self.walk.decided

    def params(self) -> tuple[dict[str, Any] | None, str]:
        reach = self.plan.params or 0.0
        base = np.nan if self.base.sharpe is None else self.base.sharpe
        found = neighbours(
            self.study, self.walk, reach, self.plan.samples, self.seed, base, self._steps("parameters nearby")
        )
        if not found.names:
            return None, "the policy takes no number that a share could be moved of"
        curves = {
            name: {"sharpe": [number(value) for value in own], "span": _span(own)} for name, own in found.curves.items()
        }
        surface: dict[str, Any] | None = None
        if found.pair:
            surface = {
                "rows": found.pair[0],
                "columns": found.pair[1],
                "sharpe": [[number(value) for value in row] for row in found.surface],
            }
        told = judged(
            f"every number the policy takes moved by up to ±{reach:.0%} at once, the same share in every fold",
            found.joint,
            self.base,
            Criterion(share=0.7, low=True),
            refused=int(found.refused.sum()),
            reach=reach,
            parameters=list(found.names),
            steps=[step * reach for step in STEPS],
            curves=curves,
            surface=surface,
            refused_nearby=found.refusals,
            refused_why=found.why,
        )
        return told, ""

    def delay(self) -> dict[str, Any]:
        most = self.plan.delay or 0
        intents, begins = self.decided.intents, entries(self.decided.intents)

        def fixed(bars: int) -> Ask:
            return lambda: self._late(np.full(len(intents), bars))

        def drawn(draw: int) -> Ask:
            def ask() -> Intents:
                bars = stream(self.seed, DELAY, draw).integers(0, most + 1, size=len(intents))
                return self._late(np.where(begins, bars, 0))

            return ask

        asks = [fixed(bars) for bars in range(most + 1)] + [drawn(draw) for draw in range(self.plan.replays)]
        found = sharpes(self.decided, asks, self.study.jobs, self._to("late decisions", len(asks)))
        curve, random = found[: most + 1], found[most + 1 :]
        return judged(
            f"each entry 0 to {most} bars late, independently; beside it all decisions late by the same number of bars"
            + self._unasked,
            random,
            self.base,
            Criterion(share=0.5, low=True),
            kept=curve[1],
            fixed=[
                {"bars": bars, "sharpe": number(value), **_reason("sharpe", number(value))}
                for bars, value in enumerate(curve)
            ],
        )

    @property
    def _unasked(self) -> str:
        """What is not known of networks that watch: their next decision would follow from the account that is made."""
        if self.decided.watching is None:
            return ""
        return "; its networks decide as they did, and are not asked what they make of the account that comes of it"

    def _late(self, bars: npt.NDArray[np.int64]) -> Intents:
        decided = self.decided
        late = delayed(decided.deck, decided.intents, bars)
        return late[late["row"] < span(decided.deck, decided.first, decided.last)[1]]

    def noise(self) -> dict[str, Any]:
        noise = self.plan.noise or 0.0

        whys: dict[int, str] = {}

        def drawn(draw: int) -> Ask:
            def ask() -> Intents | None:
                try:
                    return misread(self.study, self.walk, noise, self.seed, draw)
                except (ConfigError, PolicyError) as error:
                    whys[draw] = str(error)
                    return None

            return ask

        asks = [drawn(draw) for draw in range(self.plan.draws)]
        found = sharpes(self.decided, asks, self.study.jobs, self._to("noisy prices", len(asks)))
        return judged(
            f"the policy sees prices that are wrong by {noise:.2%}, or by half a bar's volatility if that is less; its "
            "orders fill on the true ones",
            found,
            self.base,
            Criterion(share=0.7),
            refused=len(whys),
            refused_why=whys[min(whys)] if whys else "",
            noise=noise,
            draws=[number(value) for value in found],
        )

    def skip(self) -> dict[str, Any]:
        intents, begins = self.decided.intents, entries(self.decided.intents)

        def drawn(level: int, draw: int) -> Ask:
            def ask() -> Intents:
                # The same draws at every level: what is missed at 5% is missed at 10% too.
                missed = begins & (stream(self.seed, SKIP, draw).random(len(intents)) < self.plan.skip[level])
                return skipped(intents, missed)

            return ask

        count = self.plan.replays
        asks = [drawn(level, draw) for level in range(len(self.plan.skip)) for draw in range(count)]
        found = sharpes(self.decided, asks, self.study.jobs, self._to("missed entries", len(asks)))
        return {
            "what": "each entry is missed by chance: the account stays, or goes, flat until the next one"
            + self._unasked,
            "n": count,
            "entries": int(begins.sum()),
            "levels": [
                judged(f"{share:.0%} of entries missed", own, self.base, Criterion(), missed=share)
                for share, own in zip(self.plan.skip, found.reshape(-1, count), strict=True)
            ],
            "reasons": {},
        }

    def bootstrap(self) -> tuple[dict[str, Any] | None, str]:
        if self.base.sharpe is None:
            return None, self.base.why
        count = self.plan.bootstrap or 0
        self.progress("robustness: resampled days", 0, count)
        found = resamples(daily(self.walk.ledger), count, self.seed, self.walk.ledger.calendar.periods_per_year)
        self.progress("robustness: resampled days", count, count)
        told = judged(
            "whole days of the account drawn in blocks, by the stationary bootstrap",
            found.sharpe,
            self.base,
            Criterion(low=True),
            block_days=found.block,
            annual_return=quantiles(found.annual_return),
            max_drawdown=quantiles(found.max_drawdown),
        )
        return told, ""

    def costs(self) -> tuple[dict[str, Any] | None, str]:
        decided = self.decided
        rules, deck = decided.rules, decided.deck
        fees = deck.venue.fees
        taker, maker = (fees["taker"].max(), fees["maker"].max()) if len(fees) else (rules.taker, rules.maker)
        impact = deck.contracts["temporary"].any() or deck.contracts["permanent"].any()
        if max(taker, maker, rules.half_spread) <= 0 and not impact:
            return None, "no trading cost is configured, so there is nothing to multiply"
        levels = []
        for place, multiple in enumerate(self.plan.costs):
            self.progress("robustness: dearer trading", place + 1, len(self.plan.costs))
            why = ""
            if multiple * (taker + rules.half_spread) >= 1.0:
                why = "a fill would cost more than it is worth"
            dear = dearer(decided, multiple, rebate=1.0 / multiple).asked_again()
            levels.append(self._stressed({"multiple": multiple}, dear, why, judge=multiple == DEARER))
        what = "all fees, spread and impact multiplied, a rebate divided; sizes follow the account of each replay"
        return {"what": what, "n": len(levels), "levels": levels, "reasons": {}}, ""

    def latency(self) -> tuple[dict[str, Any] | None, str]:
        lowering = self.study.lowering if isinstance(self.study, Study) else self.study.book_lowering
        setup, multiple = lowering.setup, self.plan.latency or 1.0
        if setup.latency.instant:
            return None, "no delay is configured, so there is nothing to multiply"
        self.progress("robustness: slower orders", 1, 1)
        slow = lay_out(lowering.market, replace(setup, latency=setup.latency.scaled(multiple)), self.seed)
        told = self._stressed({"multiple": multiple}, replace(self.decided, deck=slow).asked_again(), "", judge=True)
        return {"what": f"all delays of feed and orders times {multiple:g}", "n": 1, **told}, ""

    def _stressed(self, told_of: Mapping[str, Any], decided: Decided, why: str, *, judge: bool) -> dict[str, Any]:
        """One replay of the same decisions in a worse world."""
        told = Told(values=dict(told_of))
        returns = None if why else returns_of(decided, [lambda: decided.intents], 1, lambda done: None)[0]
        year = decided.deck.calendar.periods_per_year
        value = None if returns is None else number(metrics.sharpe(returns, year))
        told.put("base", self.base.sharpe, self.base.why)
        told.put("sharpe", value, why or self.base.why or "the account did not move")
        told.put("total_return", None if returns is None else float(metrics.total_return(returns)), why)
        told.put("share_of_base", *self.base.share(value))
        told.put("criterion", "Sharpe ratio > 0" if judge else None, "the default gate has none for it")
        passes = value > 0 if judge and value is not None else None
        no_criterion = "the default gate has no criterion for it"
        told.put("passes", passes, told.reasons.get("sharpe", "") if judge else no_criterion)
        return told.done()

    def offsets(self, moved: Sequence[Moved]) -> dict[str, Any]:
        own = self.walk.ledger.returns_daily()
        year = self.walk.ledger.calendar.periods_per_year
        levels = []
        for one in moved:
            other = own.iloc[:0] if one.ledger is None else one.ledger.returns_daily()
            days = own.index.intersection(other.index)
            value, base = (
                number(metrics.sharpe(np.asarray(series.loc[days], np.float64), year)) for series in (other, own)
            )
            told = Told(values={"share": one.share, "days": len(days)})
            why = one.why or "fewer than 30 days, or no return in them"
            told.put("base", base, why)
            told.put("sharpe", value, why)
            told.put("share_of_base", *Base(sharpe=base, why=why).share(value))
            levels.append(told.done())
        told = Told()
        told.put("what", "the borders of all folds moved by a share of a test window, and the whole search done again")
        told.put("n", len(levels))
        values = np.array([np.nan if one["sharpe"] is None else one["sharpe"] for one in levels])
        told.put("quantiles", quantiles(values), "no walk has a Sharpe ratio")
        told.put("criterion", None, "the default gate has none for it")
        told.put("passes", None, "the default gate has no criterion for it")
        told.put("levels", levels)
        return told.done()

    def _to(self, what: str, total: int) -> Callable[[int], None]:
        steps = self._steps(what)
        return lambda done: steps(done, total)

    def _steps(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self.progress(f"robustness: {what}", done, total)


def _span(curve: F8) -> float | None:
    known = curve[~np.isnan(curve)]
    return float(known.max() - known.min()) if len(known) else None


def _reason(key: str, value: float | None) -> dict[str, Any]:
    return {"reasons": {} if value is not None else {key: "the account has no Sharpe ratio"}}
