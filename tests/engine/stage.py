"""Small markets bar by bar, and intents on chosen rows, for what is checked by hand through `wfbt.backtest`."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

import wfbt
from wfbt.data.market import HOUR
from wfbt.policy.base import NAMES

FREE = wfbt.Costs.none()


def instrument(rows, *, symbol="X", period=HOUR, start=0, volume=1e9, counts="units", funding=None, **known):
    """`rows` are (open, high, low, close), one price for all four, or None where there is no bar; `funding` is pairs of
    (ns, rate); `volume` is what the bars say and `counts` what it counts; `known` are fields of
    Instrument or of its contract."""
    there = [i for i, row in enumerate(rows) if row is not None]
    prices = np.array([row if isinstance(row, tuple) else (row,) * 4 for row in rows if row is not None], float)
    contract = {name: known.pop(name) for name in ("tick", "lot", "multiplier", "inverse") if name in known}
    bars = wfbt.Bars(
        symbol=symbol,
        period=period,
        open_ts=start + np.array(there) * period,
        **dict(zip(("open", "high", "low", "close"), prices.T, strict=True)),
        volume=np.broadcast_to(np.asarray(volume, float), len(rows))[there],
    )
    paid = None
    if funding is not None:
        ts, rate = np.array([at for at, _ in funding]), np.array([rate for _, rate in funding])
        paid = wfbt.Funding(ts=ts, rate=rate, mark=np.full(len(ts), np.nan))
    return wfbt.Instrument(bars=bars, funding=paid, contract=wfbt.Contract(**contract), volume=counts, **known)


def market(*instruments):
    return wfbt.Market(instruments=tuple(instruments), digest="")


def said(rows: int, by_row: Mapping[int, float | Mapping[str, float]]) -> pd.DataFrame:
    """A frame of intents that speaks on some rows only: a target, or columns by name."""
    columns: dict[str, Sequence[float]] = {name: np.full(rows, np.nan) for name in NAMES}
    for row, spoken in by_row.items():
        for name, value in (spoken if isinstance(spoken, Mapping) else {"target": spoken}).items():
            columns[name][row] = value
    # A rule returns the columns that it uses.
    return pd.DataFrame(columns).dropna(axis="columns", how="all")


def only(ledger):
    """The only order of a ledger, as the orders frame tells it."""
    (order,) = ledger.orders_frame().itertuples(index=False)
    return order


def filled(ledger, *names):
    """Fields of all fills, one tuple each."""
    frame = ledger.fills_frame()
    frame = frame.assign(qty=ledger.fills["qty"], row=ledger.fill_rows)
    return list(frame[list(names)].itertuples(index=False, name=None))
