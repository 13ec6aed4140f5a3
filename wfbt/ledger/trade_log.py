"""Fills as a venue or ccxt exports them: one CSV, a row each."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import DataError

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]

COLUMNS: dict[str, tuple[str, ...]] = {
    "time": ("timestamp", "datetime", "time", "date", "date(utc)", "tradetime", "executedat", "createdat"),
    "symbol": ("symbol", "pair", "market", "instrument"),
    "side": ("side",),
    "price": ("price", "fillprice", "avgprice", "averageprice"),
    "qty": ("amount", "qty", "quantity", "size", "executed", "filled"),
    "fee": ("feecost", "fee", "commission"),
    "currency": ("feecurrency", "commissionasset", "feecoin"),
    "liquidity": ("takerormaker", "liquidity", "role", "maker"),
    "order": ("order", "orderid"),
    "id": ("id", "tradeid"),
}
"""What a column may be called, in lower case without dots, blanks, dashes and underscores; ccxt's names come first."""

REQUIRED = ("time", "symbol", "side", "price", "qty")

UNITS = ((1e17, 1), (1e14, 1_000), (1e11, 1_000_000), (0.0, 1_000_000_000))
"""A number is a time in ns, µs, ms or s since 1970, as its size shows: from → ns in one."""


def plain_symbol(symbol: str) -> str:
    """A symbol as letters and digits alone: BTC/USDT:USDT, BTC-USDT and BTCUSDT are one."""
    return "".join(sign for sign in symbol.partition(":")[0].upper() if sign.isalnum())


def read_log(path: Path) -> pd.DataFrame:
    """The fills of a CSV file, a row each: ts (ns UTC), symbol, side, price, qty, fee, currency, liquidity, order.

    Columns are those of a ccxt trade export or called much alike (`COLUMNS`); without `order` every fill is one of its
    own.  `fee` is NaN and the texts are empty where nothing is said.  DataError names the line.
    """
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as CSV: {str(error).strip()}") from error
    given = {"".join(c for c in str(name).lower() if c not in "._- "): name for name in raw.columns}
    found = {key: next((given[n] for n in names if n in given), None) for key, names in COLUMNS.items()}
    if missing := [key for key in REQUIRED if found[key] is None]:
        raise DataError(
            f"{path}: no column for the {missing[0]} (one of {', '.join(COLUMNS[missing[0]])}); "
            f"it has {', '.join(str(name) for name in raw.columns)}"
        )
    if raw.empty:
        raise DataError(f"{path}: there is no fill in it, only a header")
    cells = {key: raw[name].str.strip() for key, name in found.items() if name is not None}
    none = pd.Series("", raw.index, dtype=str)
    out = pd.DataFrame({"ts": _times(path, cells["time"])})
    out["symbol"] = cells["symbol"]
    out["side"] = cells["side"].str.lower().map({"buy": "buy", "sell": "sell", "b": "buy", "s": "sell"})
    _refuse(path, out["side"].isna(), cells["side"], "side must be buy or sell")
    _refuse(path, out["symbol"] == "", cells["symbol"], "symbol must be named")
    for key in ("price", "qty"):
        out[key] = _numbers(cells[key])
        sound = out[key].gt(0) & np.isfinite(out[key])
        _refuse(path, ~sound, cells[key], f"{found[key]} must be a number > 0")
    out["fee"], out["currency"] = _fees(path, cells.get("fee", none), cells.get("currency", none))
    words = cells.get("liquidity", none).str.lower()
    known = {"taker": "taker", "maker": "maker", "t": "taker", "m": "maker", "true": "maker", "false": "taker", "": ""}
    out["liquidity"] = words.map(known)
    _refuse(path, out["liquidity"].isna(), words, "liquidity must be taker or maker")
    out["order"] = cells.get("order", none)
    if "id" in cells:
        keys = out["symbol"] + " " + cells["id"]
        _refuse(path, keys.duplicated() & (cells["id"] != ""), cells["id"], "each trade id comes once; exported twice?")
    return out


def _refuse(path: Path, bad: pd.Series[bool], cells: pd.Series[str], rule: str) -> None:
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(f"{path}: line {row + 2}: {rule}, was {cells.iloc[row]!r}")


def _numbers(cells: pd.Series[str]) -> pd.Series[float]:
    return pd.to_numeric(cells.str.replace(",", "", regex=False), errors="coerce").astype(np.float64)


def _times(path: Path, cells: pd.Series[str]) -> I8:
    numbers = pd.to_numeric(cells, errors="coerce")
    if numbers.notna().all():
        factor = next(factor for least, factor in UNITS if abs(float(numbers.iloc[0])) >= least)
        if cells.str.fullmatch(r"\d+").all():
            return cells.to_numpy(np.int64) * factor  # a float has no room for ns since 1970
        # A float of seconds since 1970 is good for µs.
        return np.rint(numbers.to_numpy(np.float64) * (factor / 1_000)).astype(np.int64) * 1_000
    times = pd.to_datetime(cells, utc=True, errors="coerce", format="ISO8601")
    _refuse(path, times.isna(), cells, "the time must be ISO 8601 or a number since 1970")
    return ns_of(times)


def ns_of(times: pd.Series[Any]) -> I8:
    """Times as ns UTC."""
    return pd.DatetimeIndex(times).as_unit("ns").asi8


def _fees(path: Path, cells: pd.Series[str], currency: pd.Series[str]) -> tuple[F8, pd.Series[str]]:
    """Numbers, and the currencies they are in; ccxt writes a fee as a dict where its parts have no columns."""
    cells, currency = cells.copy(), currency.copy()
    for row in cells.index[cells.str.startswith("{")]:
        try:
            parts = ast.literal_eval(cells[row])
            cost, coin = parts.get("cost"), parts.get("currency")
        except (ValueError, SyntaxError, AttributeError):
            continue  # refused below, with its line
        cells[row] = "" if cost is None else str(cost)
        currency[row] = currency[row] or str(coin or "")
    numbers = _numbers(cells)
    _refuse(path, (numbers.isna() | np.isinf(numbers)) & (cells != ""), cells, "the fee must be a number")
    return np.asarray(numbers, np.float64), currency.str.upper()
