"""What the account did on the bad days, and on the thin ones, that the data hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import HOUR, Market
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import max_drawdown

B1 = npt.NDArray[np.bool_]

EPISODES: tuple[tuple[str, str, str, str], ...] = (
    ("march_2020", "crash of March 2020", "2020-03-07", "2020-03-20"),
    ("may_2021", "crash of May 2021", "2021-05-12", "2021-05-25"),
    ("may_2022", "collapse of Terra, May 2022", "2022-05-05", "2022-05-16"),
    ("november_2022", "collapse of FTX, November 2022", "2022-11-06", "2022-11-16"),
    ("summer_2023", "quiet summer of 2023", "2023-06-25", "2023-09-01"),
)
"""Key, words, first day and the day after the last, UTC."""


def history_told(market: Market, account: Ledger, benchmark: Ledger) -> dict[str, Any]:
    """Return and drawdown of the account and of buy-and-hold in EPISODES, at weekends, on holidays and otherwise."""
    generated = [one.symbol for one in market.instruments if one.generated]
    episodes: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for key, words, start, end in EPISODES:
        begins, ends = (int(pd.Timestamp(day, tz="UTC").value) for day in (start, end))
        rows = (account.ts > begins) & (account.ts <= ends)
        episodes[key] = None
        if generated:
            reasons[key] = (
                f"the bars of {', '.join(generated)} are generated: nothing of what is known of those days is in them"
            )
        elif begins < account.ts[0] or ends > account.ts[-1]:
            reasons[key] = f"the out-of-sample span does not hold all of {start} to {end}"
        else:
            episodes[key] = {"what": words, "start": start, "end": end} | _within(account, benchmark, rows)
    clock = pd.DatetimeIndex(pd.to_datetime(account.ts - 1, utc=True))
    weekend = np.asarray(clock.day_of_week >= 5)
    holiday = np.asarray(((clock.month == 12) & (clock.day >= 24)) | ((clock.month == 1) & (clock.day == 1)))
    thin: dict[str, Any] = {}
    why = {}
    for key, rows in (("weekends", weekend), ("holidays", holiday), ("other", ~weekend & ~holiday)):
        thin[key] = _within(account, benchmark, rows) if rows.any() else None
        if not rows.any():
            why[key] = "no bar closes there"
    return {"episodes": episodes, "calendar": thin | {"reasons": why}, "reasons": reasons}


def _within(account: Ledger, benchmark: Ledger, rows: B1) -> dict[str, Any]:
    """The bars of `rows` put one after another, of both accounts."""
    out: dict[str, Any] = {"hours": float(np.diff(account.ts, prepend=_first(account))[rows].sum() / HOUR)}
    for name, ledger in (("", account), ("benchmark_", benchmark)):
        before = np.append(ledger.opening_equity, ledger.equity[:-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.where(before > 0, ledger.equity / before, 1.0)
        curve = np.cumprod(growth[rows], dtype=np.float64)
        out[f"{name}return"] = float(curve[-1] - 1.0)
        out[f"{name}max_drawdown"] = float(max_drawdown(curve, 1.0))
    return out


def _first(ledger: Ledger) -> int:
    """When the first bar opened, as the usual distance of closes tells it."""
    usual = int(np.median(np.diff(ledger.ts))) if len(ledger.ts) > 1 else 0
    return int(ledger.ts[0]) - usual
