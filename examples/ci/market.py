"""Write hourly bars of a made market whose drift turns every 18 hours, so that a network learns it in seconds.

    python market.py market.parquet

No real market repeats itself like this one: it shows that a pipeline works, and nothing of trading.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

DAYS = 120


def main(path: Path) -> None:
    rng = np.random.default_rng(20240101)
    n = 24 * DAYS
    drift = 0.0025 * np.sign(np.sin(2 * np.pi * np.arange(n) / 36))
    close = 100 * np.exp(np.cumsum(drift + rng.normal(0, 0.002, n)))
    opened = np.r_[100.0, close[:-1]]
    bars = pd.DataFrame(
        {
            "ts": pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC"),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + rng.uniform(0, 0.001, n)),
            "low": np.minimum(opened, close) * (1 - rng.uniform(0, 0.001, n)),
            "close": close,
            "volume": rng.uniform(50_000, 500_000, n),
        }
    )
    bars.to_parquet(path, index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
