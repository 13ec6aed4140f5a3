"""A market and what came after it, as one: rows before a moment from the one, rows from it on from the other."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from wfbt.config.values import Duration
from wfbt.data.market import Bars, Funding, Instrument, Market, Series
from wfbt.data.store import stamp
from wfbt.data.trades import Trades
from wfbt.errors import DataError


def end_of(market: Market) -> int:
    """The last close of any symbol, ns UTC."""
    return max(int(one.bars.close_ts[-1]) for one in market.instruments)


def continued(before: Market, after: Market) -> Market:
    """`before`, and the rows of `after`, none of which may open before `before` has ended.

    What `before` has and a policy decides by (funding, trades, series) `after` must have too; marks and execution bars
    may end, and trade prices and whole bars then stand in for them.  DataError on anything else.
    """
    if after.symbols != before.symbols:
        raise DataError(f"the new data are of {', '.join(after.symbols)}, the run of {', '.join(before.symbols)}")
    if after.period != before.period:
        raise DataError(
            f"the new bars are of {Duration(after.period)}, those of the run of {Duration(before.period)}; give bars "
            "of the same period"
        )
    since, notes = end_of(before), list(after.notes)
    instruments = []
    for old, new in zip(before.instruments, after.instruments, strict=True):
        for name in ("mark", "execution_bars"):
            if getattr(old, name) is not None and getattr(new, name) is None:
                notes.append(f"{old.symbol}: the new data have no {name.replace('_', ' ')}; its bars stand in")
        instruments.append(_instrument(old, new, since))
    series = {one.name: one for one in after.series}
    if missing := [one.name for one in before.series if one.name not in series]:
        raise DataError(f"the new data have no series {missing[0]}, which the run was given")
    return replace(
        before,
        instruments=tuple(instruments),
        series=tuple(_series(one, series[one.name]) for one in before.series),
        digest=hashlib.sha256(f"{before.digest}\n{after.digest}".encode()).hexdigest(),
        findings=after.findings,
        notes=tuple(notes),
    )


def _instrument(old: Instrument, new: Instrument, since: int) -> Instrument:
    if new.bars.open_ts[0] < since:
        raise DataError(f"{old.symbol}: new bars begin on {stamp(int(new.bars.open_ts[0]))}, before {stamp(since)}")
    funding, trades = None, None
    if old.funding is not None:
        if new.funding is None:
            raise DataError(f"{old.symbol}: the run was given funding, and the new data have none; add it")
        later = new.funding.ts > old.funding.ts[-1]
        funding = Funding(
            ts=np.concatenate([old.funding.ts, new.funding.ts[later]]),
            rate=np.concatenate([old.funding.rate, new.funding.rate[later]]),
            mark=np.concatenate([old.funding.mark, new.funding.mark[later]]),
            snapped=old.funding.snapped + new.funding.snapped,
        )
    if old.trades is not None:
        if new.trades is None:
            raise DataError(f"{old.symbol}: the run was given single trades, and the new data have none; add them")
        joined = [(getattr(old.trades, name), getattr(new.trades, name)) for name in ("ts", "price", "qty", "side")]
        ts, price, qty, side = (np.concatenate(pair) for pair in joined)
        trades = Trades(ts=ts, price=price, qty=qty, side=side, until=new.trades.until)
    return replace(
        old,
        bars=_bars(old.bars, new.bars),
        funding=funding,
        mark=old.mark and (_bars(old.mark, new.mark) if new.mark else old.mark),
        execution_bars=old.execution_bars
        and (_bars(old.execution_bars, new.execution_bars) if new.execution_bars else old.execution_bars),
        trades=trades,
    )


def _bars(old: Bars, new: Bars) -> Bars:
    if old.period != new.period:
        raise DataError(
            f"{old.symbol}: the new bars are of {Duration(new.period)}, those of the run of {Duration(old.period)}; "
            "give bars of the same period"
        )
    later = new.open_ts >= old.close_ts[-1]
    return Bars(
        symbol=old.symbol,
        period=old.period,
        open_ts=np.concatenate([old.open_ts, new.open_ts[later]]),
        **{
            name: np.concatenate([getattr(old, name), getattr(new, name)[later]])
            for name in ("open", "high", "low", "close", "volume")
        },
    )


def _series(old: Series, new: Series) -> Series:
    if old.columns != new.columns:
        raise DataError(
            f"{old.name}: the new series has the columns {', '.join(new.columns)}, that of the run "
            f"{', '.join(old.columns)}"
        )
    later = new.available_ts > old.available_ts[-1]
    return replace(
        old,
        available_ts=np.concatenate([old.available_ts, new.available_ts[later]]),
        values=np.concatenate([old.values, new.values[later]]),
    )
