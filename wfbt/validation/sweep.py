"""A screen: many parameters of one policy over one market, each lane an account of its own, no curve kept.

What a screen shows is in sample, every lane of it, and its best is the best of that many tries: choose with
`walk_forward` before believing anything.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.compute import cores, in_order
from wfbt.data.market import Market
from wfbt.engine.account import Account, Exits, Limits, Sizing
from wfbt.engine.costs import Costs
from wfbt.engine.intents import Lowering
from wfbt.engine.latency import Latency
from wfbt.engine.orders import Orders
from wfbt.engine.setup import rules_of, setup_with
from wfbt.engine.sweep import replay_lanes
from wfbt.engine.tape import Deck, lay_out
from wfbt.errors import ConfigError, WfbtError
from wfbt.features.memo import Memo
from wfbt.kernels.abi import INTENT, TALLY, Status
from wfbt.ledger import metrics
from wfbt.ledger.wording import words
from wfbt.policy.base import Columns, Policy, Rule, evaluate, load_rule
from wfbt.policy.frames import market_frames
from wfbt.policy.search import candidates
from wfbt.validation.walk_forward import lane_returns

F8 = npt.NDArray[np.float64]

MOST_INTENTS = 192 * 2**20
"""Bytes of intents that all threads together may hold, should every lane say something at every bar."""

MOST_LANES = 64

LOWEST = frozenset(
    ("max_drawdown", "volatility", "turnover", "traded", "fees", "spread", "impact", "funding", "liquidation")
)
"""Of these the least is best."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sweep:
    """L lanes over D days.

    Attributes
    ----------
    params : list of dict
        What each lane was given.
    metrics : (L, ...) DataFrame
        Named and defined as in `Ledger.metrics`: sharpe sortino calmar annual_return total_return max_drawdown
        volatility win_rate profit_factor trades avg_trade exposure turnover; then equity (at the end), traded (value of
        all fills), fees spread impact funding liquidation shortfall (quote; funding is negative where it was earned),
        fills, breakers and status (done, halted).  NaN where a number does not exist.  Where execution bars are in use
        max_drawdown, exposure and turnover are of their closes, finer than a ledger's.
    returns : (L, D) DataFrame of float64
        Daily net returns, a column for each (zone-less, UTC) day.
    dropped : int
        How many combinations of the grid the policy's own `valid` refused.
    notes : tuple of str
        What had to be assumed.
    """

    params: list[dict[str, Any]]
    metrics: pd.DataFrame
    returns: pd.DataFrame
    dropped: int
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.params)

    def best(self, by: str = "sharpe") -> dict[str, Any]:
        """Parameters of the lane with the best `by`, the first of equals: the most, of losses and costs the least.

        In sample, and the more lanes there are the better the best of worthless ones looks.
        """
        if by not in self.metrics or by == "status":
            known = ", ".join(str(name) for name in self.metrics if name != "status")
            raise ConfigError(f"best: {by!r} is no metric of a sweep; use one of {known}")
        column = self.metrics[by].to_numpy(np.float64)
        if np.isnan(column).all():
            raise ConfigError(f"best: no lane has a {by}; sweep more days, or rules that trade")
        return dict(self.params[int(np.nanargmin(column) if by in LOWEST else np.nanargmax(column))])


def sweep(
    market: Market,
    policy: str | Callable[..., Any] | Policy,
    grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    costs: Costs | None = None,
    latency: Latency | None = None,
    account: Account | None = None,
    sizing: Sizing | None = None,
    exits: Exits | None = None,
    limits: Limits | None = None,
    orders: Orders | None = None,
    seed: int = 0,
    jobs: int | None = None,
    chunk: int | None = None,
) -> Sweep:
    """Replay `policy` with each parameter set of `grid` over the whole market, each from opening cash and flat.

    Lane i is `backtest` of what the policy says with `params[i]`, under the same costs, delays and draws.  No result
    depends on `jobs` or `chunk`.

    Parameters
    ----------
    policy : str, callable or Policy
        A built-in rule, `file.py:function` (relative to the working directory), `package.module:function`, or the
        function itself, `f(bars, **params)`.  ConfigError for one that has to be fitted.
    grid : mapping of parameter → list, array, range or {low, high, step}; or a list of dicts
        All combinations of a mapping, the last key fastest; what the policy's `valid` refuses is dropped.
    jobs : int, optional
        Threads; all cores by default.
    chunk : int, optional
        Lanes evaluated before they are replayed, per thread.  By default as many as keep their intents within
        `MOST_INTENTS` bytes even if they change their mind at every bar.
    """
    setup = setup_with(
        costs=costs, latency=latency, account=account, sizing=sizing, exits=exits, limits=limits, orders=orders
    )
    jobs = cores() if jobs is None else jobs
    for name, value in (("jobs", jobs), ("chunk", chunk)):
        if value is not None and value < 1:
            raise ConfigError(f"sweep: {name} must be >= 1, was {value}")
    asked = _policy_of(policy)
    params, dropped = _lanes(asked, grid)
    deck = lay_out(market, setup, seed)
    lowering = Lowering(market, deck, setup)
    rules = rules_of(setup, deck.horizon)
    frames = {symbol: _shared(frame) for symbol, frame in market_frames(market).items()}
    memo = Memo(column for frame in frames.values() for column in frame.to_numpy().T)
    # Any other sizing may leave a target unsaid until its stop or volatility is known.
    sparse = setup.sizing.method in ("fraction", "fixed")
    rows = len(deck.tape.open_ts)
    days = _days(deck)
    tallies = np.zeros(len(params), TALLY)
    returns = np.empty((len(params), len(days)))

    def heard(given: Mapping[str, Any]) -> npt.NDArray[np.void]:
        try:
            said = evaluate(asked, frames, given)
        except WfbtError as error:
            raise type(error)(f"{error} (with {_told(given)})") from error
        return lowering.lower({symbol: _news(one) for symbol, one in said.items()} if sparse else said)

    def some(lanes: range) -> None:
        with memo.in_use():
            intents = [heard(params[lane]) for lane in lanes]
        done = replay_lanes(deck, intents, [(0, rows)] * len(lanes), rules)
        part = slice(lanes.start, lanes.stop)
        tallies[part] = done.tallies
        returns[part] = lane_returns(deck, done.daily, 0, rows, rules.cash)

    # Concatenated for the kernel, the intents exist twice.
    worst = 2 * jobs * len(deck.decisions) * len(deck.symbols) * INTENT.itemsize
    size = chunk or max(1, min(MOST_LANES, MOST_INTENTS // worst))
    in_order(some, [range(i, min(i + size, len(params))) for i in range(0, len(params), size)], jobs)
    table = _metrics(deck, tallies, returns, rules.cash)
    return Sweep(
        params=params,
        metrics=table,
        returns=pd.DataFrame(returns, columns=days),
        dropped=dropped,
        notes=(*market.notes, *deck.notes),
    )


def _policy_of(given: str | Callable[..., Any] | Policy) -> Policy:
    if isinstance(given, str):
        found: Policy = load_rule(given, Path.cwd(), "sweep")
    elif inspect.isclass(given):
        raise ConfigError(f"sweep: {given.__name__} is a class, which is fitted; walk it forward with wfbt.run")
    elif callable(given):
        found = _rule_of(given)
    elif hasattr(given, "columns"):
        found = given
    else:
        raise ConfigError(f"sweep: a policy is a rule's name or a function, not {type(given).__name__}")
    if found.fitted:
        raise ConfigError(f"sweep: {found.name} is fitted, and of all rows it would see its future; use wfbt.run")
    if found.watches:
        raise ConfigError(f"sweep: {found.name} watches its account; use wfbt.run")
    return found


def _rule_of(function: Callable[..., Any]) -> Rule:
    name = getattr(function, "__name__", type(function).__name__)
    arguments = list(inspect.signature(function).parameters.values())
    if not arguments or arguments[0].kind not in (arguments[0].POSITIONAL_ONLY, arguments[0].POSITIONAL_OR_KEYWORD):
        raise ConfigError(f"sweep: the first argument of {name} must be the bars")
    others = arguments[1:]
    source = None
    with suppress(TypeError):  # what is no plain function has no file
        source = Path(inspect.getfile(function))
    return Rule(
        name=name,
        call=function,
        kind="function",
        source=source,
        source_sha256="",
        parameters={
            one.name: one.default for one in others if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        },
        open_ended=any(one.kind is one.VAR_KEYWORD for one in others),
        section="sweep",
    )


def _lanes(policy: Policy, grid: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    if isinstance(grid, Mapping):
        listed = {
            key: given.tolist() if isinstance(given, np.ndarray) else list(given) if isinstance(given, range) else given
            for key, given in grid.items()
        }
        return candidates({}, listed, valid=policy.is_valid)
    params = list(grid)
    if not params:
        raise ConfigError("sweep: the grid is an empty list; give it a dict of parameters for each lane")
    for number, one in enumerate(params):
        if not isinstance(one, Mapping):
            raise ConfigError(f"sweep: grid[{number}] must be a dict of parameters, was {one!r}")
    return [dict(one) for one in params], 0


class _Shared(pd.DataFrame):
    """Bars that nobody can write to; so the copy that a rule gets costs nothing until it is written to."""

    # The stubs call it final; a rule's copy is made by code that need not know of screens.
    def copy(self, deep: bool | None = True) -> pd.DataFrame:  # type: ignore[misc, override]
        return pd.DataFrame(super().copy(deep=False))


def _shared(frame: pd.DataFrame) -> pd.DataFrame:
    """The same numbers in one read-only block, each column contiguous."""
    block = np.array([frame[name].to_numpy(np.float64) for name in frame])
    block.flags.writeable = False
    return _Shared(block.T, index=frame.index, columns=frame.columns, copy=False)


def _news(wants: Columns) -> Columns:
    """The same columns with a target on those rows alone on which it is a number that differs from the last one.

    Lowering leaves the others out too, but only after it has made an intent of each.
    """
    target = wants.target
    differs = np.ones(len(target), bool)
    np.not_equal(target[1:], target[:-1], out=differs[1:])
    rows = np.flatnonzero(differs & (target == target))
    said = target[rows]
    new = rows[said != np.concatenate(([0.0], said[:-1]))]
    sparse = np.full(len(target), np.nan)
    sparse[new] = target[new]
    return Columns(**{name: getattr(wants, name) for name in Columns.__slots__ if name != "target"}, target=sparse)


def _days(deck: Deck) -> pd.DatetimeIndex:
    closes = deck.tape.close_ts[deck.day_rows]
    days = deck.calendar.days(closes)[deck.calendar.day_ends(closes)]
    return pd.DatetimeIndex(days.astype("datetime64[D]").astype("datetime64[ns]"), name="day")


def _metrics(deck: Deck, tallies: npt.NDArray[np.void], returns: F8, cash: float) -> pd.DataFrame:
    """One row per lane, by the definitions of `ledger.metrics`, of what the kernel summed up and of daily returns."""
    year, days, bars = deck.calendar.periods_per_year, returns.shape[1], len(deck.tape.open_ts)
    total = tallies["equity"] / cash - 1.0
    annual = metrics.annual_return(total, days, year)
    trips, lost = tallies["trips"], tallies["lost"]
    traded = trips > 0

    def per_trip(amount: Any) -> F8:
        return np.where(traded, amount / np.where(traded, trips, 1), np.nan)

    columns: dict[str, Any] = {
        "sharpe": metrics.sharpe(returns, year),
        "sortino": metrics.sortino(returns, year),
        "calmar": metrics.calmar(annual, tallies["max_drawdown"]),
        "annual_return": annual,
        "total_return": total,
        "max_drawdown": tallies["max_drawdown"],
        "volatility": metrics.volatility(returns, year),
        "win_rate": per_trip(tallies["wins"]),
        "profit_factor": np.where(lost > 0, tallies["won"] / np.where(lost > 0, lost, 1.0), np.nan),
        "trades": trips,
        "avg_trade": per_trip(tallies["won"] - lost),
        "exposure": tallies["rows_held"] / bars,
        "turnover": _turnover(tallies, bars, days / year),
    }
    names = ("equity", "traded", "fees", "spread", "impact", "funding", "liquidation", "shortfall", "fills", "breakers")
    columns |= {name: tallies[name] for name in names}
    columns["status"] = words(tallies["status"], Status)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(tallies), name="lane"))


def _turnover(tallies: npt.NDArray[np.void], bars: int, years: float) -> F8:
    """Value traded over mean equity, per year; NaN where there was none."""
    mean = tallies["equity_sum"] / bars
    return np.where(mean > 0, tallies["traded"] / np.where(mean > 0, mean, 1.0) / years, np.nan)


def _told(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in params.items()) or "no parameters"
