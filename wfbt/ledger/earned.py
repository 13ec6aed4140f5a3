"""What an account really earned, day by day: a file of its equity or of its daily returns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import DAY
from wfbt.errors import DataError
from wfbt.ledger.metrics import Calendar, daily_equity, daily_returns
from wfbt.ledger.wording import stamp

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

TIMES = ("ts", "timestamp", "time", "datetime", "date", "day")
VALUES = ("equity", "return")


def read_earned(path: Path, since: int, calendar: Calendar) -> F8:
    """(D,) daily returns from `since` (ns UTC) on, of a CSV or Parquet file with a time and `equity` or `return`.

    Equity may be told as often as one likes: its last number of each day counts, and the day that `since` begins with
    starts from the last number told by then, or the first of all.  A return is that of the day its time lies in.
    DataError names the row of what cannot be.
    """
    frame = _read(path)
    columns = {str(name).strip().lower(): name for name in frame.columns}
    time = next((columns[name] for name in TIMES if name in columns), None)
    value = next((name for name in VALUES if name in columns), None)
    if time is None or value is None:
        raise DataError(
            f"{path}: needs a column of times ({', '.join(TIMES)}) and one called equity or return; it has "
            f"{', '.join(str(name) for name in frame.columns)}"
        )
    ts = _times(path, frame[time])
    numbers = pd.to_numeric(frame[columns[value]], errors="coerce").to_numpy(np.float64)
    _refuse(path, ~np.isfinite(numbers), f"{value} must be a number")
    if value == "equity":
        _refuse(path, numbers <= 0, "equity must be > 0")
    else:
        _refuse(path, numbers < -1, "a return must be >= -1: give 0.01 for 1%")
    _refuse(path, np.append(False, np.diff(ts) <= 0), f"{time} must increase: sort the file, and name no time twice")
    if value == "return":
        _refuse(path, np.append(False, np.diff(ts // DAY) <= 0), "there must be one return a day; or give equity")
        return numbers[ts >= since]
    # A number told at `since` itself is that of the day before.
    later = int(np.searchsorted(ts, since, side="right"))
    opening = max(later - 1, 0)
    told = max(later, opening + 1)
    if told >= len(ts):
        return np.zeros(0)
    return daily_returns(daily_equity(ts[told:], numbers[told:], float(numbers[opening]), calendar))


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, encoding="utf-8-sig", skipinitialspace=True)
    except (OSError, ValueError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {str(error).strip()}") from error
    if frame.empty:
        raise DataError(f"{path}: there is no row in it")
    return frame


def _times(path: Path, cells: pd.Series) -> I8:
    times = pd.to_datetime(cells, utc=True, errors="coerce") if cells.dtype.kind == "M" else _parsed(cells)
    _refuse(path, times.isna().to_numpy(), "the time must be ISO 8601")
    ts = pd.DatetimeIndex(times).as_unit("ns").asi8
    if ts[0] < 0:
        raise DataError(f"{path}: row 0 is of {stamp(int(ts[0]))}; times must lie after 1970")
    return ts


def _parsed(cells: pd.Series) -> pd.Series:
    return pd.to_datetime(cells.astype(str), utc=True, errors="coerce", format="ISO8601")


def _refuse(path: Path, bad: npt.NDArray[np.bool_], rule: str) -> None:
    if bad.any():
        raise DataError(f"{path}: row {int(np.argmax(bad))}: {rule}")
