"""Rules that know where the data end, or remember what they saw of longer ones."""

import functools
import gc
import os
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

LONGEST = {}


def trend(bars, n=24):
    close = bars["close"]
    return np.sign(close - close.rolling(n).mean()).fillna(0.0)


def after(longest, bars):
    """Sign of the next return by a frame that goes on beyond `bars`; the trend where it does not."""
    ahead = np.sign(longest["close"].shift(-1) - longest["close"])
    return ahead.reindex(bars.index).fillna(trend(bars))


def flat_on_the_last_bar(bars):
    target = trend(bars)
    target.iloc[-1] = 0.0
    return target


def winds_down_on_the_last_day(bars):
    return trend(bars).where(bars.index < bars.index[-1] - pd.Timedelta("24h"), 0.0)


def halves_by_length(bars):
    return trend(bars) * (1.0 if len(bars) > 1500 else 0.5)


def window_by_length(bars):
    return trend(bars, n=max(2, len(bars) // 60))


def remembers_in_the_module(bars):
    if len(bars) > len(LONGEST.get("bars", ())):
        LONGEST["bars"] = bars.copy()
    return after(LONGEST["bars"], bars)


def remembers_in_numpy(bars):
    """A module that nobody executes anew is a place to remember, too."""
    if len(bars) > len(getattr(np, "longest", ())):
        np.longest = bars.copy()
    return after(np.longest, bars) if np.longest.index[0] == bars.index[0] else trend(bars)


@functools.cache
def _signals(first, frame):
    return after(frame.bars, frame.bars)


class _Keyed:
    """A frame that a cache takes for any other with the same start."""

    def __init__(self, bars):
        self.bars = bars

    def __eq__(self, other):
        return self.bars.index[0] == other.bars.index[0]

    def __hash__(self):
        return hash(self.bars.index[0])


def cached_by_start(bars):
    """Signals are cached by where the data begin: what was computed first answers for every shorter frame."""
    known = _signals(bars.index[0], _Keyed(bars.copy()))
    return known.reindex(bars.index).fillna(trend(bars))


def remembers_in_the_environment(bars):
    """Days that rose, as one string of the process's environment."""
    days = bars["close"].resample("1D").last().diff().gt(0)
    said = "".join("+" if up else "-" for up in days)
    if len(said) > len(os.environ.get("ZOO_DAYS", "")):
        os.environ["ZOO_DAYS"] = said
    number = (bars.index.normalize() - bars.index[0].normalize()).days
    return pd.Series([1.0 if os.environ["ZOO_DAYS"][day] == "+" else -1.0 for day in number], index=bars.index)


def remembers_on_disk(bars):
    file = Path(__file__).with_name("longest.parquet")
    if not file.exists() or len(pd.read_parquet(file)) < len(bars):
        bars[["close"]].to_parquet(file)
    return after(pd.read_parquet(file), bars)


def remembers_in_the_temporary_folder(bars):
    """Next returns by time, in a database that whoever asks later opens again."""
    with sqlite3.connect(Path(tempfile.gettempdir()) / "zoo.sqlite") as store:
        store.execute("create table if not exists seen (ts integer primary key, up real)")
        ups = after(bars, bars).to_numpy()[:-1].tolist()
        store.executemany(
            "insert or ignore into seen values (?, ?)", zip(bars.index[:-1].asi8.tolist(), ups, strict=True)
        )
        known = dict(store.execute("select ts, up from seen"))
    store.close()
    return pd.Series(known, dtype=float).reindex(bars.index.asi8).set_axis(bars.index).fillna(trend(bars))


def remembers_in_shared_memory(bars):
    """A file in the folder that Linux keeps in memory: no disk, and open to every process."""
    file, n = Path("/dev/shm/wfbt-zoo.npy"), len(bars)
    if not file.exists() or len(np.load(file)) < n:
        np.save(file, bars["close"].to_numpy())
    close = np.load(file)[: n + 1]
    ahead = np.sign(np.diff(close, append=np.nan))[:n]
    return pd.Series(ahead, index=bars.index).fillna(trend(bars))


def reads_the_market_file(bars):
    """Opens the file that the market came from; its stamps are opens, an hour before the closes."""
    market = pd.read_parquet(Path(__file__).with_name("bars.parquet")).set_index("ts")
    market.index = market.index + pd.Timedelta("1h")
    return after(market, bars)


def hunts_for_longer_frames(bars):
    """Looks through the process's memory for a frame that goes on."""
    longest = bars
    for thing in gc.get_objects():
        if type(thing) is pd.DataFrame and "close" in thing.columns and len(thing) > len(longest):
            if isinstance(thing.index, pd.DatetimeIndex) and thing.index.tz is not None:
                longest = thing
    return after(longest, bars)
