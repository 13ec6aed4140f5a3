"""Rules that know what they cannot: one leak each, and what of the message has to name it."""

HEADER = """
from pathlib import Path

import numpy as np
import pandas as pd

"""

RULES: dict[str, tuple[str, str]] = {
    "shift": (
        """
def rule(bars):
    return np.sign(bars["close"].shift(-1) - bars["close"])
""",
        "target",
    ),
    "whole_sample_zscore": (
        """
def rule(bars):
    return -np.sign((bars["close"] - bars["close"].mean()) / bars["close"].std()).round()
""",
        "target",
    ),
    "centred_window": (
        """
def rule(bars):
    return np.sign(bars["close"] - bars["close"].rolling(25, center=True).mean())
""",
        "target",
    ),
    "last_tenth": (
        """
def rule(bars):
    honest = np.sign(bars["close"].diff(12))
    late = bars.index >= pd.Timestamp("2024-04-18", tz="UTC")
    return honest.where(~late, np.sign(bars["close"].shift(-1) - bars["close"]))
""",
        "target",
    ),
    "filled_backwards": (
        """
def rule(bars):
    noon = bars["close"].where(bars.index.hour == 12).bfill()
    return np.sign(noon - bars["close"])
""",
        "target",
    ),
    "resampled_before_it_closed": (
        """
def rule(bars):
    daily = bars["close"].resample("1D").last().reindex(bars.index, method="ffill")
    return np.sign(daily - bars["close"].shift(1))
""",
        "target",
    ),
    "flat_at_the_last_bar": (
        """
def rule(bars):
    target = np.sign(bars["close"].diff(12))
    target.iloc[-1] = 0.0
    return target
""",
        "target",
    ),
    "halves_by_length": (
        """
def rule(bars):
    target = np.sign(bars["close"].diff(12))
    target.iloc[: len(bars) // 2] *= 0.5
    return target
""",
        "target",
    ),
    "remembers_in_a_global": (
        """
SEEN = {}


def rule(bars):
    SEEN.update(bars["close"].items())
    later = pd.Series(SEEN).sort_index().shift(-1).reindex(bars.index)
    return np.sign(later - bars["close"])
""",
        "target",
    ),
    "remembers_on_disk": (
        """
def rule(bars):
    kept = Path("kept.csv")
    if kept.exists():
        known = pd.read_csv(kept, index_col=0, parse_dates=True)["close"]
        whole = known if len(known) >= len(bars) else bars["close"]
    else:
        whole = bars["close"]
    whole.to_csv(kept)
    return np.sign(whole.shift(-1).reindex(bars.index) - bars["close"])
""",
        "target",
    ),
    "remembers_beside_itself": (
        """
def rule(bars):
    kept = Path(__file__).with_name("kept.npy")
    if not kept.exists():
        np.save(kept, bars["close"].to_numpy())
    whole = np.load(kept)
    later = np.append(whole, np.full(len(bars), np.nan))[1 : len(bars) + 1]
    return pd.Series(np.sign(later - bars["close"].to_numpy()), bars.index)
""",
        "target",
    ),
    "targets_peek": (
        """
class rule:
    def fit(self, bars):
        self.scale = bars["close"].pct_change().std()

    def targets(self, bars):
        return (bars["close"].pct_change().shift(-1) / self.scale).clip(-1, 1)
""",
        "target",
    ),
    "one_bar_in_two_hundred": (
        """
def rule(bars):
    target = np.sign(bars["close"].diff(12))
    rare = (bars["volume"] * 1000).astype(int) % 200 == 0
    return target.where(~rare, np.sign(bars["close"].shift(-1) - bars["close"]))
""",
        "target",
    ),
    "wild_bars_only": (
        """
def rule(bars):
    moves = bars["close"].pct_change().abs()
    wild = moves > moves.rolling(240).quantile(0.95)
    return np.sign(bars["close"].diff(12)).where(~wild, np.sign(bars["close"].shift(-1) - bars["close"]))
""",
        "target",
    ),
    "funding_before_its_stamp": (
        """
def rule(bars):
    return np.sign(bars["funding"].shift(-4) - bars["funding"])
""",
        "target",
    ),
    "stop_knows_the_low": (
        """
def rule(bars):
    target = np.sign(bars["close"].diff(12))
    reach = (bars["close"] - bars["low"].shift(-1)).abs() + 0.01 * bars["close"]
    return pd.DataFrame({"target": target, "stop": reach})
""",
        "stop",
    ),
    "fit_kept_the_frame": (
        """
KEPT = {}


class rule:
    def fit(self, bars):
        self.mean = bars["close"].mean()

    def targets(self, bars):
        KEPT.setdefault("mean", bars["close"].iloc[-200:].mean())
        return np.sign(bars["close"] - KEPT["mean"])
""",
        "target",
    ),
}
