"""What a policy says, one row per bar, and the check that it is sayable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import PolicyError
from wfbt.policy.wording import at, near

F8 = npt.NDArray[np.float64]

NAMES = ("target", "limit", "stop", "take", "trail", "expire", "trigger", "other", "other_limit", "other_trigger")

_POSITIVE = {
    "limit": "a limit is a price > 0; NaN means a market order",
    "trigger": "a trigger is a price > 0; NaN means at once",
    "other_limit": "a limit is a price > 0; NaN means a market order",
    "other_trigger": "a trigger is a price > 0; NaN means at once",
    "stop": "a stop is a distance in price units > 0; NaN means none",
    "take": "a take-profit is a distance in price units > 0; NaN means none",
    "trail": "a trailing stop is a distance in price units > 0; NaN means none",
    "expire": "expire is a whole number of bars >= 1; NaN means never",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What a policy wants of one symbol, decided at each bar's close.  Row t depends on rows ≤ t.

    Attributes
    ----------
    target : (T,) float64
        Signed fraction of total equity.  NaN leaves the position alone.
    stop, take, trail : (T,) float64 or None
        Distances in price units from the average entry, read on the row of a new target.  NaN: none.
    limit : (T,) float64 or None
        Price of a limit order.  NaN: a market order.
    expire : (T,) float64 or None
        Bars until an unfilled order lapses.  NaN: never.
    trigger : (T,) float64 or None
        Price at which the order begins: a stop order, with `limit` a stop-limit order.  NaN: at once.
    other, other_limit, other_trigger : (T,) float64 or None
        A second order, for another target, limit or trigger, of which the first fill of either cancels the other.
        `other` NaN: none.
    scale : (T,) float64 or None
        What sizes are multiplied by, in 0..1; no rule puts it out.
    """

    target: F8
    stop: F8 | None = None
    take: F8 | None = None
    trail: F8 | None = None
    limit: F8 | None = None
    expire: F8 | None = None
    trigger: F8 | None = None
    other: F8 | None = None
    other_limit: F8 | None = None
    other_trigger: F8 | None = None
    scale: F8 | None = None

    def __post_init__(self) -> None:
        for name in NAMES:
            given = getattr(self, name)
            if given is None:
                continue
            column = np.array(given, dtype=np.float64)
            column.flags.writeable = False
            object.__setattr__(self, name, column)
            if column.ndim != 1 or column.shape != self.target.shape:
                raise PolicyError(f"{name} has shape {column.shape}, target {self.target.shape}; both are one per bar")

    def __len__(self) -> int:
        return len(self.target)


def read_single(rule: str, output: Any, symbol: str, index: pd.DatetimeIndex) -> Columns:
    """Columns of what a rule returned for one symbol whose bars close at `index`; PolicyError on what is no intent."""
    if isinstance(output, pd.DataFrame):
        _check_index(rule, symbol, output.index, index)
        _check_names(f"{rule}: {symbol}", output.columns)
        columns = {name: _numbers(rule, symbol, name, output[name]) for name in output.columns}
    elif isinstance(output, pd.Series):
        _check_index(rule, symbol, output.index, index)
        columns = {"target": _numbers(rule, symbol, "target", output)}
    elif isinstance(output, np.ndarray):
        if output.ndim != 1:
            raise PolicyError(
                f"{rule}: {symbol}: returned an array of shape {output.shape}; "
                f"return one target per bar, ({len(index)},)"
            )
        _check_rows(rule, symbol, len(output), len(index))
        columns = {"target": _numbers(rule, symbol, "target", pd.Series(output))}
    else:
        raise PolicyError(
            f"{rule}: {symbol}: returned {_kind(output)}; return a Series or array of targets, "
            f"or a DataFrame of {', '.join(NAMES)}"
        )
    for name, column in columns.items():
        _check_values(rule, symbol, name, column, index)
    return Columns(**columns)


def read_several(rule: str, output: Any, frames: Mapping[str, pd.DataFrame]) -> dict[str, Columns]:
    """Columns per symbol of what a rule returned for several: a dict by symbol, or a frame of targets by symbol.

    The frame is indexed by every bar close of any symbol; where a symbol has no bar it has no target.
    """
    if not isinstance(output, pd.DataFrame | Mapping):
        raise PolicyError(
            f"{rule}: returned {_kind(output)} for {len(frames)} symbols; "
            "return a DataFrame with one column per symbol, or a dict symbol -> Series or DataFrame"
        )
    given = list(output.columns) if isinstance(output, pd.DataFrame) else list(output)
    for symbol in given:
        if symbol not in frames:
            raise PolicyError(f"{rule}: returned {symbol!r}, which is no symbol of this run{near(symbol, frames)}")
        if given.count(symbol) > 1:
            raise PolicyError(f"{rule}: returned two columns named {symbol}; return one per symbol")
    if missing := [symbol for symbol in frames if symbol not in given]:
        raise PolicyError(f"{rule}: returned nothing for {', '.join(missing)}; NaN leaves a position alone")
    if not isinstance(output, pd.DataFrame):
        return {symbol: read_single(rule, output[symbol], symbol, _closes(frames[symbol])) for symbol in frames}
    clock = _closes(next(iter(frames.values())))
    for frame in frames.values():
        clock = clock.union(_closes(frame))
    _check_index(rule, "all symbols", output.index, clock)
    return {symbol: _on_own_bars(rule, output[symbol], symbol, _closes(frames[symbol])) for symbol in frames}


def _on_own_bars(rule: str, column: pd.Series[Any], symbol: str, index: pd.DatetimeIndex) -> Columns:
    if len(column) > len(index):
        stray = column[~column.index.isin(index)].dropna()
        if len(stray):
            raise PolicyError(
                f"{rule}: {symbol}: target is {stray.iloc[0]} at {at(stray.index[0])}, where it has no bar; "
                "leave it NaN there"
            )
        column = column.loc[index]
    return read_single(rule, column, symbol, index)


def _closes(frame: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(frame.index)


def _check_names(where: str, names: pd.Index[Any]) -> None:
    for name in names:
        if name not in NAMES:
            raise PolicyError(
                f"{where}: returned a column {name!r}{near(name, NAMES)}; columns may be {', '.join(NAMES)}"
            )
    if "target" not in names:
        raise PolicyError(
            f"{where}: returned a frame without a target column; it holds {', '.join(names) or 'nothing'}"
        )
    if names.has_duplicates:
        raise PolicyError(f"{where}: returned two columns named {names[names.duplicated()][0]}")


def _check_rows(rule: str, symbol: str, rows: int, expected: int) -> None:
    if rows != expected:
        raise PolicyError(
            f"{rule}: {symbol}: returned {rows} rows for {expected} bars; return one per bar, "
            "NaN where there is no opinion (after dropna, reindex to bars.index)"
        )


def _check_index(rule: str, symbol: str, index: pd.Index[Any], expected: pd.DatetimeIndex) -> None:
    if index.equals(expected):
        return
    _check_rows(rule, symbol, len(index), len(expected))
    if not isinstance(index, pd.DatetimeIndex) or index.tz is None:
        raise PolicyError(
            f"{rule}: {symbol}: returned an index of {index.dtype}; keep the index of bars (close times, UTC), "
            "or return a plain array"
        )
    row = int(np.flatnonzero(index != expected)[0])
    raise PolicyError(
        f"{rule}: {symbol}: row {row} is stamped {at(index[row])}, its bar closes at {at(expected[row])}; "
        "keep the index of bars as it is"
    )


def _numbers(rule: str, symbol: str, name: str, column: pd.Series[Any]) -> F8:
    numeric = pd.api.types.is_float_dtype(column.dtype) or pd.api.types.is_integer_dtype(column.dtype)
    if not numeric:
        advice = "a condition becomes a target with .astype(float)" if column.dtype == bool else "return numbers"
        raise PolicyError(f"{rule}: {symbol}: {name} has dtype {column.dtype}, not numbers; {advice}")
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _check_values(rule: str, symbol: str, name: str, column: F8, index: pd.DatetimeIndex) -> None:
    rules = [(np.isinf(column), "use NaN where there is no value; look for a division by zero")]
    if name in _POSITIVE:
        rules.append((column <= 0, _POSITIVE[name]))
    if name == "expire":
        rules.append((np.isfinite(column) & (column != np.floor(column)), _POSITIVE[name]))
    for broken, advice in rules:
        if (rows := np.flatnonzero(broken)).size:
            row = rows[0]
            more = f" and {rows.size - 1} rows more" if rows.size > 1 else ""
            raise PolicyError(
                f"{rule}: {symbol}: {name} is {column[row]} at row {row} ({at(index[row])}){more}; {advice}"
            )


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
