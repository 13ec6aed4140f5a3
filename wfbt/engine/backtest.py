"""Replay intents over a market and give back a ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import Market
from wfbt.engine.account import Account, Exits, Limits, Sizing
from wfbt.engine.costs import Costs
from wfbt.engine.intents import Lowering
from wfbt.engine.latency import Latency
from wfbt.engine.orders import Orders
from wfbt.engine.setup import rules_of, setup_with
from wfbt.engine.tape import Deck, lay_out
from wfbt.errors import PolicyError
from wfbt.kernels.abi import (
    EVENT,
    FILL,
    LANE,
    LIQUIDATION,
    ORDER_LOG,
    PAYMENT,
    TALLY,
    Rules,
    Status,
    desk_of,
    record_of,
)
from wfbt.ledger.ledger import Ledger
from wfbt.policy.base import NAMES, Columns

F8 = npt.NDArray[np.float64]
MOST_FIRST_FILLS = 4_000_000
_FINITE = {"target": "use NaN to leave the position alone", "other": "use NaN for no second order"}


def replay_ledger(deck: Deck, intents: npt.NDArray[np.void], rules: Rules, first: int = 0, last: int = 0) -> Ledger:
    """Replay decision bars [first, last) of `deck` (0: to the end) as one account, keeping everything."""
    from wfbt.kernels.bars import replay

    last = last or len(deck.decisions)
    start, stop = span(deck, first, last)
    rows, assets = stop - start, len(deck.symbols)
    lanes = np.zeros(1, LANE)
    lanes["start"], lanes["stop"], lanes["last"] = start, stop, len(intents)
    # Two rows at least: one row means "do not keep" to the kernel.
    kept = max(rows, 2)
    equity, cash, liquidation, shortfall = (np.zeros(kept) for _ in range(4))
    position = np.zeros((kept, assets))
    payments = np.zeros(max(1, len(deck.stamps)), PAYMENT)
    daily = np.full((1, len(deck.day_rows)), np.nan)
    desk = desk_of(1, assets, deck.slots)
    slots = assets * (deck.slots + 10)  # fills that one row can make
    room = min(2 * len(intents) + 64, MOST_FIRST_FILLS) + slots
    bounded = bool(np.isfinite(deck.venue.bounds["most"]).any())
    while True:
        fills, tally = np.zeros(room, FILL), np.zeros(1, TALLY)
        orders, events = np.zeros(room, ORDER_LOG), np.zeros(room if bounded else assets + 1, EVENT)
        liquidations = np.zeros(room, LIQUIDATION)
        replay(
            deck.tape, deck.terms, deck.stamps, deck.contracts, deck.day_rows, intents, lanes, record_of(rules),
            deck.slots, deck.activity, deck.venue, fills, payments, orders, events, liquidations, equity, cash,
            position, liquidation, shortfall, daily, tally, desk,
        )  # fmt: skip
        if tally["status"][0] != Status.FILLS_FULL:
            break
        room *= 2
    # Where every row is a decision bar, its columns are the ledger's.
    chosen: Any = slice(0, rows) if deck.plain else deck.decisions[first:last] - start
    # The bars were checked when the market was read, and the tally sums what was liquidated or fell short.
    sound = {"ts", "mark"} if deck.plain and all(len(own) == rows for own in deck.places) else {"ts"}
    if tally["liquidation"][0] == 0.0 and tally["shortfall"][0] == 0.0:
        sound |= {"liquidation", "shortfall"}
    return Ledger.owning(
        sound=sound,
        symbols=deck.symbols,
        ts=deck.close_ts[first:last],
        opening_cash=rules.cash,
        equity=equity[chosen],
        cash=cash[chosen],
        position=position[chosen],
        mark=deck.carried()[first:last],
        fills=fills[: tally["fills"][0]],
        payments=payments[: tally["payments"][0]],
        orders=orders[: tally["orders"][0]],
        events=events[: tally["events"][0]],
        liquidations=liquidations[: tally["liquidations"][0]],
        liquidation=liquidation[:rows] if deck.plain else _per_bar(liquidation[:rows], chosen),
        shortfall=shortfall[:rows] if deck.plain else _per_bar(shortfall[:rows], chosen),
        multiplier=deck.contracts["multiplier"].copy(),
        inverse=bool(deck.contracts["inverse"][0] != 0.0),
        days_a_year=deck.calendar.days_a_year,
        breakers=int(tally["breakers"][0]),
        halted=tally["status"][0] == Status.HALTED,
    )


def span(deck: Deck, first: int, last: int) -> tuple[int, int]:
    """Execution rows [start, stop) of decision bars [first, last)."""
    return (int(deck.decisions[first - 1]) + 1 if first else 0), int(deck.decisions[last - 1]) + 1


def _per_bar(column: F8, chosen: npt.NDArray[np.int64]) -> F8:
    """Sum an execution-row column over each decision bar."""
    return np.add.reduceat(column, np.r_[0, chosen[:-1] + 1])


def backtest(
    market: Market,
    targets: Any,
    *,
    costs: Costs | None = None,
    latency: Latency | None = None,
    account: Account | None = None,
    sizing: Sizing | None = None,
    exits: Exits | None = None,
    limits: Limits | None = None,
    orders: Orders | None = None,
    seed: int = 0,
) -> Ledger:
    """Replay targets decided at each bar's close; what is not passed is off, and costs are the defaults of `Costs`.

    Parameters
    ----------
    market : Market
        From `load_market`.
    targets : (T,) or (T, A) array, DataFrame, or dict of symbol → array or DataFrame
        Signed fraction of equity, decided at the close of each bar and filled no earlier than the next open; NaN leaves
        the position alone.  T is the union of all symbols' bars.  A frame of intents has the columns target and any of
        stop, take and trail (distances in price), limit and trigger (prices), expire (bars), other, other_limit and
        other_trigger (a second order of which only one fills).
    seed : int
        Of the latency draws.

    Returns
    -------
    Ledger
    """
    setup = setup_with(
        costs=costs, latency=latency, account=account, sizing=sizing, exits=exits, limits=limits, orders=orders
    )
    deck = lay_out(market, setup, seed)
    intents = Lowering(market, deck, setup).lower(_as_columns(targets, deck))
    return replay_ledger(deck, intents, rules_of(setup, deck.horizon))


def _as_columns(targets: Any, deck: Deck) -> dict[str, Columns]:
    """Columns per symbol, on the symbol's own bars, of whatever form `targets` has."""
    if isinstance(targets, Mapping):
        if unknown := [name for name in targets if name not in deck.symbols]:
            raise PolicyError(f"targets name {unknown[0]!r}; the market has {', '.join(deck.symbols)}")
        if missing := [name for name in deck.symbols if name not in targets]:
            raise PolicyError(f"targets for {', '.join(missing)} are missing")
        return {s: _one(targets[s], s, p, deck.close_ts) for s, p in zip(deck.symbols, deck.places, strict=True)}
    if isinstance(targets, pd.DataFrame) and set(targets.columns) <= set(deck.symbols):
        return _as_columns({str(name): targets[name].to_numpy() for name in targets.columns}, deck)
    if not isinstance(targets, pd.DataFrame | pd.Series):
        table = np.asarray(targets, np.float64)
        if table.ndim == 2:
            if table.shape != (len(deck.decisions), len(deck.symbols)):
                raise PolicyError(
                    f"targets have shape {table.shape}; expected ({len(deck.decisions)}, {len(deck.symbols)}): "
                    "one row per bar, one column per symbol"
                )
            return _as_columns({s: table[:, a] for a, s in enumerate(deck.symbols)}, deck)
    if len(deck.symbols) > 1:
        raise PolicyError(f"{len(deck.symbols)} symbols need (T, {len(deck.symbols)}) targets or a dict by symbol")
    return _as_columns({deck.symbols[0]: targets}, deck)


def _one(given: Any, symbol: str, places: npt.NDArray[np.int64], closes: npt.NDArray[np.int64]) -> Columns:
    """Columns of one symbol, given on its own bars or on the common clock."""
    index = given.index if isinstance(given, pd.DataFrame | pd.Series) else None
    if isinstance(given, pd.DataFrame):
        if unknown := [name for name in given.columns if name not in NAMES]:
            raise PolicyError(f"{symbol}: unknown column {unknown[0]!r}; intents have {', '.join(NAMES)}")
        if "target" not in given.columns:
            raise PolicyError(f"{symbol}: a frame of intents needs a column target")
        columns = {str(name): given[name].to_numpy(np.float64) for name in given.columns}
    elif np.ndim(given) != 1:
        raise PolicyError(f"{symbol}: targets must be one number per bar, had shape {np.shape(given)}")
    else:
        columns = {"target": np.asarray(given, np.float64)}
    if isinstance(index, pd.DatetimeIndex):
        times = pd.to_datetime(closes, utc=True)
        index = index.tz_localize("UTC") if index.tz is None else index
        if not (index.equals(times) or index.equals(times[places])):
            raise PolicyError(
                f"{symbol}: the index of the targets must be the closes of its bars, {times[places][0]} to "
                f"{times[places][-1]}: a decision is made at a bar's close"
            )
    rows = len(given)
    if rows == len(closes) != len(places):
        columns = {name: column[places] for name, column in columns.items()}
    elif rows != len(places):
        raise PolicyError(f"{symbol}: {rows} targets for {len(places)} bars")
    for name, column in columns.items():
        wrong, rule = np.isinf(column), _FINITE.get(name, "it must be > 0, NaN for none")
        if name not in _FINITE:
            wrong |= column <= 0
        if name == "expire":
            wrong |= ~np.isnan(column) & (column != np.floor(column))
            rule = "it must be a whole number of bars >= 1, NaN for never"
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise PolicyError(f"{symbol}: {name} is {column[row]} at row {row}; {rule}")
    return Columns(**columns)
