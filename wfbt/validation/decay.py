"""How long a signal knows something: its rank correlation with what prices did, by bars ahead, and its half-life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.data.market import HOUR
from wfbt.engine.closed_loop import Watching
from wfbt.kernels.abi import Outcome
from wfbt.ledger.blocks import block_length
from wfbt.policy.base import Columns
from wfbt.policy.composite import standing, taken
from wfbt.policy.ensemble import Ensemble
from wfbt.validation.again import Ran
from wfbt.validation.sleeves import Portfolio, PortfolioWalk
from wfbt.validation.walk_forward import Study, View, WalkForward

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

STREAM = 0xDECA
ALL = "all"
"""What the signal of a strategy without sleeves is called."""
FEWEST = 200
"""Rows of one symbol below which a rank correlation tells nothing."""
RATES = 160
"""Half-lives that the fit tries, evenly in their logarithm."""
LEVEL = 0.95
DOUBTFUL = 0.05
"""p above which there is no half-life: any curve through noise has one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signal:
    """A signal and the prices it was about, of one symbol.

    Attributes
    ----------
    value : (T,) float64
        What was wanted at each close; NaN before the first.
    close : (T,) float64
        Closes of the same bars.
    """

    value: F8
    close: F8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Information coefficients by lag and what was fitted to them.

    Attributes
    ----------
    lags : (K,) int64
    ic, error : (K,) float64
        Rank correlation with the return of the bar that ends `lag` bars later; its standard error by block bootstrap.
    n : int
        Pairs of all symbols at the first lag.
    block : int
        Bars in a block.
    p : float
        Chance of a curve that fits as well where the signal orders nothing, from the resamples less their mean.
    half_life, low, high : float or None
        Bars; the interval holds LEVEL of the resamples' fits.  `high` is None where they do not bound it.
    why_not, why_no_high : str
    """

    lags: I8
    ic: F8
    error: F8
    n: int
    block: int
    p: float
    half_life: float | None = None
    low: float | None = None
    high: float | None = None
    why_not: str = ""
    why_no_high: str = ""


def decay_curve(signals: Sequence[Signal], lags: Sequence[int], resamples: int, seed: np.random.SeedSequence) -> Curve:
    """Correlate `signals` with the return of each single bar `lags` ahead, and fit IC(k) = a·2^(−k/h).

    Ranks are taken within a symbol, so that a symbol that is always wanted is no evidence; symbols count by their rows
    and are resampled in the same blocks.  Returns that no symbol has leave a lag NaN.  Errors and interval come from a
    circular block bootstrap (Politis and Romano 1992) of the products of ranks, with blocks at least as long as the
    longest lag and as the persistence of the first products asks for.
    """
    steps = np.asarray(lags, np.int64)
    products, counts = _products(signals, steps)
    n = int(counts[:, 0].sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        ic = products.sum(axis=0) / counts.sum(axis=0)
    rows = len(products)
    block = int(min(rows, max(steps[-1], block_length(products[:, :1]))))
    drawn = _resampled(products, counts, block, resamples, seed)
    error = drawn.std(axis=0, ddof=1)
    life, strength, gained = half_lives(np.vstack([ic, drawn]), error, steps)
    by_chance = half_lives(drawn - drawn.mean(axis=0), error, steps)[2]
    p = float((np.count_nonzero(by_chance >= gained[0]) + 1) / (resamples + 1))
    longest = float(_grid(steps)[-1])
    known: dict[str, Any] = {"lags": steps, "ic": ic, "error": error, "n": n, "block": block, "p": p}
    if strength[0] <= 0 or p > DOUBTFUL:
        why = "what it knows cannot be told from chance, so there is nothing to decay"
        return Curve(**known, why_not=why)
    if life[0] >= longest:
        return Curve(**known, why_not=f"it does not decay within {steps[-1]} bars, the longest lag")
    fits = np.where(strength[1:] > 0, life[1:], 0.0)  # a resample without order has lost it at once
    low, high = (float(x) for x in np.quantile(fits, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    bounded = high < longest
    return Curve(
        **known,
        half_life=float(life[0]),
        low=low,
        high=high if bounded else None,
        why_no_high="" if bounded else f"resamples do not decay within {steps[-1]} bars, the longest lag",
    )


def _products(signals: Sequence[Signal], lags: I8) -> tuple[F8, F8]:
    """(T, K) sums over symbols of standardised ranks' products, and how many symbols each has; means are the IC."""
    rows = max(len(one.value) for one in signals)
    total, counts = np.zeros((rows, len(lags))), np.zeros((rows, len(lags)))
    for one in signals:
        value = one.value
        for k, lag in enumerate(lags):
            ahead = np.full(len(value), np.nan)
            ahead[: max(0, len(value) - lag)] = one.close[lag:] / one.close[lag - 1 : -1] - 1.0
            both = ~np.isnan(value) & ~np.isnan(ahead)
            if both.sum() < 2:
                continue
            # Rows are counted from the end, where symbols that are listed later are aligned.
            place = np.flatnonzero(both) + rows - len(value)
            total[place, k] += _standard(value[both]) * _standard(ahead[both])
            counts[place, k] += 1.0
    return total, counts


def _standard(values: F8) -> F8:
    """Ranks with mean 0 and deviation 1; 0 of a constant."""
    # Half a second to import, for those who ask for decay alone.
    from scipy.stats import rankdata

    ranks = rankdata(values)
    ranks -= ranks.mean()
    deviation = ranks.std()
    return np.asarray(ranks / deviation if deviation > 0 else np.zeros(len(ranks)))


def _resampled(products: F8, counts: F8, block: int, resamples: int, seed: np.random.SeedSequence) -> F8:
    """(B, K) means of `products` over `counts` in circular blocks of rows."""
    rows, columns = products.shape
    wrapped = np.concatenate([products, counts], axis=1)
    total = np.concatenate(
        [np.zeros((1, 2 * columns)), np.cumsum(np.concatenate([wrapped, wrapped[: block - 1]]), axis=0)]
    )
    sums = total[block : block + rows] - total[:rows]
    starts = np.random.default_rng(seed).integers(0, rows, (resamples, -(-rows // block)))
    drawn = np.zeros((resamples, 2 * columns))
    for i in range(starts.shape[1]):
        drawn += sums[starts[:, i]]
    return np.asarray(drawn[:, :columns] / np.maximum(drawn[:, columns:], 1.0))


def _grid(lags: I8) -> F8:
    """Half-lives to try, bars: from a quarter bar to four times the longest lag."""
    return np.geomspace(0.25, 4.0 * float(lags[-1]), RATES)


def half_lives(ic: F8, error: F8, lags: I8) -> tuple[F8, F8, F8]:
    """(B,) half-life, strength a and weighted squares explained of the best a·2^(−k/h), a ≥ 0, for each row of (B, K)
    `ic`, weighted by 1/error².

    For every h of a grid the best a is a quotient of sums, so the least squares are found without a search that could
    end in different places; strength 0 where no positive a fits better than nothing.
    """
    weight = 1.0 / np.maximum(error, 1e-12) ** 2
    grid = _grid(lags)
    shape = 2.0 ** (-lags[:, None] / grid[None, :])  # (K, H)
    top, bottom = (ic * weight) @ shape, weight @ shape**2
    gained = np.where(top > 0, top**2 / bottom, 0.0)
    place = gained.argmax(axis=1)
    rows = np.arange(len(ic))
    strength = np.maximum(top[rows, place], 0.0) / bottom[place]
    return grid[place], strength, gained[rows, place]


def decay_section(ran: Ran, lags: Sequence[int], resamples: int) -> dict[str, Any]:
    """`decay` of result.json: the account's signal, and each member's of an ensemble or sleeve of an account."""
    hours = ran.market.period / HOUR
    needed, why_no_need = needs(ran)
    found = {
        name: _told(_curve(signals, lags, resamples, ran.seed, place), hours, needed)
        for place, (name, signals) in enumerate(signals_of(ran).items())
    }
    reasons = {} if needed is not None else {"needed_hours": why_no_need}
    return {"period_hours": hours, "needed_hours": needed, "level": LEVEL, "signals": found, "reasons": reasons}


def needs(ran: Ran) -> tuple[float | None, str]:
    """Twice the mean hours from a decision to its order's last fill, which a half-life has to outlast; or why not."""
    orders = ran.walk.ledger.orders
    done = orders[(orders["outcome"] == Outcome.FILLED) & (orders["filled"] != 0)]
    if not len(done):
        return None, "no order was filled"
    decided = ran.walk.decided.deck.tape.close_ts[done["row"]]
    return float(2.0 * np.mean(done["ended"] - decided) / HOUR), ""


def _curve(
    signals: Mapping[str, Signal] | str, lags: Sequence[int], resamples: int, seed: int, place: int
) -> Curve | str:
    """The curve of one signal, or why there is none."""
    if isinstance(signals, str):
        return signals
    told = {symbol: one for symbol, one in signals.items() if (~np.isnan(one.value)).sum() >= FEWEST}
    if not told:
        return f"no symbol has {FEWEST} bars with a signal"
    moving = [one for one in told.values() if np.ptp(one.value[~np.isnan(one.value)]) > 0]
    if not moving:
        return "the signal never changes, so it orders nothing"
    return decay_curve(moving, lags, resamples, np.random.SeedSequence([seed, STREAM, place]))


def _told(curve: Curve | str, hours: float, needed: float | None) -> dict[str, Any]:
    keys = ("lags", "ic", "error", "n", "block", "p", "half_life_hours", "low_hours", "high_hours", "outlasts")
    if isinstance(curve, str):
        return dict.fromkeys(keys) | {"reasons": dict.fromkeys(keys, curve)}
    out: dict[str, Any] = {
        "lags": curve.lags.tolist(),
        "ic": [None if np.isnan(one) else float(one) for one in curve.ic],
        "error": [None if np.isnan(one) else float(one) for one in curve.error],
        "n": curve.n,
        "block": curve.block,
        "p": curve.p,
        "half_life_hours": None if curve.half_life is None else curve.half_life * hours,
        "low_hours": None if curve.low is None else curve.low * hours,
        "high_hours": None if curve.high is None else curve.high * hours,
        "outlasts": None if curve.low is None or needed is None else bool(curve.low * hours >= needed),
    }
    why = {"half_life_hours": curve.why_not, "low_hours": curve.why_not, "high_hours": curve.why_no_high}
    out["reasons"] = {key: why.get(key) or curve.why_not or "no order was filled" for key in keys if out[key] is None}
    return out


def signals_of(ran: Ran) -> dict[str, dict[str, Signal] | str]:
    """What was wanted of each symbol on out-of-sample rows: "all" of a strategy, with the members of an ensemble, or
    each sleeve's own; or why nobody can tell."""
    if isinstance(ran.study, Study):
        return _of_study(ran.study, ran.walk, ALL)
    assert isinstance(ran.study, Portfolio) and isinstance(ran.walk, PortfolioWalk)
    out: dict[str, dict[str, Signal] | str] = {}
    for member in ran.study.members:
        out |= _of_study(member.study, ran.walk.alone[member.name], member.name)
    return out


def _of_study(study: Study, walk: WalkForward, name: str) -> dict[str, dict[str, Signal] | str]:
    members: dict[str, Any] = {}
    if isinstance(study.rule, Ensemble):
        before = "" if name == ALL else f"{name}: "
        members = {f"{before}{key} {part.name}": (key, part) for key, part in study.rule.parts.items()}
    first, last = walk.decided.first, walk.decided.last
    places = {s: own for s, own in zip(study.deck.symbols, study.deck.places, strict=True) if s in study.frames}
    if walk.decided.watching is not None:
        why = "its network watches the one account that all members share, so what it wants alone nobody knows"
        return {name: _watched(study, walk.decided.watching, places, first, last), **dict.fromkeys(members, why)}
    wants: dict[str, dict[str, F8]] = {one: {} for one in (name, *members)}
    for symbol, own in places.items():
        inside = int(((own >= first) & (own < last)).sum())
        for one in wants.values():
            one[symbol] = np.full(inside, np.nan)
    known: dict[object, list[Mapping[str, Columns]]] = {}
    for place, block in walk.route:
        chosen, view = walk.folds[place].trial.chosen, walk.views[place]
        key: object = (place, chosen) if study.fitted else chosen
        if key not in known:
            known[key] = [study.columns(chosen, view), *_parts(study, chosen, view, members)]
        for said, columns in zip(wants.values(), known[key], strict=True):
            for symbol, own in places.items():
                start = int(np.searchsorted(own, first))
                low, high = (int(x) for x in np.searchsorted(own, [block.start, block.stop]))
                target = columns[symbol].target
                said[symbol][low - start : high - start] = taken(target, standing(target))[low:high]
    closes = {one.symbol: one.bars.close for one in study.lowering.market.instruments}
    out: dict[str, dict[str, Signal] | str] = {}
    for signal, by_symbol in wants.items():
        told = {}
        for symbol, value in by_symbol.items():
            low, high = (int(x) for x in np.searchsorted(places[symbol], [first, last]))
            told[symbol] = Signal(value=value, close=closes[symbol][low:high])
        out[signal] = told
    return out


def _watched(study: Study, networks: Watching, places: Mapping[str, I8], first: int, last: int) -> dict[str, Signal]:
    """What networks wanted in the account that they watched; on paper they would have watched another."""
    targets = networks.targets()
    closes = {one.symbol: one.bars.close for one in study.lowering.market.instruments}
    out = {}
    for symbol, own in places.items():
        target = targets[own, study.deck.symbols.index(symbol)]
        low, high = (int(x) for x in np.searchsorted(own, [first, last]))
        out[symbol] = Signal(value=taken(target, standing(target))[low:high], close=closes[symbol][low:high])
    return out


def _parts(study: Study, chosen: int, view: View, members: Mapping[str, Any]) -> list[Mapping[str, Columns]]:
    """What each member of an ensemble wants, before its weight."""
    if not members:
        return []
    assert isinstance(study.rule, Ensemble)
    shares = study.rule.split(study.rule.bind(study.candidates[chosen]))
    return [part.columns(view.frames, shares[key], view.train) for key, part in members.values()]
