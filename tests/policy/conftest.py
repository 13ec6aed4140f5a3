import numpy as np
import pandas as pd
import pytest


def walk_frame(rows: int, seed: int, start: str = "2023-01-01 01:00") -> pd.DataFrame:
    """Hourly bars of a random walk with 8-hourly funding that is unknown for the first 5 bars."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, rows)))
    open_ = np.concatenate(([100.0], close[:-1]))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0.0, 0.004, rows)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0.0, 0.004, rows)))
    funding = np.repeat(rng.normal(1e-4, 3e-4, rows // 8 + 1), 8)[:rows]
    funding[:5] = np.nan
    index = pd.date_range(start, periods=rows, freq="h", tz="UTC", name="ts").as_unit("ns")
    columns = {"open": open_, "high": high, "low": low, "close": close, "volume": rng.uniform(1.0, 9.0, rows)}
    return pd.DataFrame({**columns, "funding": funding}, index=index)


def newsy_frame(rows: int, seed: int) -> pd.DataFrame:
    """The bars of `walk_frame` and a series that changes every few bars and is unknown for the first 4."""
    rng = np.random.default_rng(seed + 10_000)
    mood = np.repeat(rng.uniform(-1.0, 1.0, rows // 3 + 1), 3)[:rows]
    mood[:4] = np.nan
    return walk_frame(rows, seed).assign(news=mood)


@pytest.fixture
def walk():
    return walk_frame


@pytest.fixture
def newsy():
    return newsy_frame
