"""The features that a strategy file can name, what each needs, and the sets of them that have a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.features import formulas

F8 = npt.NDArray[np.float64]
Need = Literal["bars", "trades", "funding", "series"]
Formula = Callable[..., F8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One named number a bar.

    Attributes
    ----------
    formula : callable
        From the frame of one symbol and the parameters below to (T,) float64.
    warmup : callable
        From the parameters to the rows before its first number, where what it needs is there from the first row on.
    needs : str
        bars, trades, funding or series: what a symbol must have.
    whole : mapping
        Parameters that are whole numbers, to (default, least); None as default: it has to be given.
    text : str
        The parameter that names a column or a part of one, which has to be given; empty: there is none.
    """

    formula: Formula
    warmup: Callable[..., int] = field(default=lambda **_: 0)
    needs: Need = "bars"
    whole: Mapping[str, tuple[int | None, int]] = field(default_factory=dict)
    text: str = ""

    @property
    def parameters(self) -> tuple[str, ...]:
        return (*self.whole, *([self.text] if self.text else []))


def _over(formula: Formula, default: int | None, warmup: Callable[[int], int], least: int = 2) -> Feature:
    """A feature of bars with the one parameter n."""
    return Feature(formula=formula, warmup=lambda n: warmup(n), whole={"n": (default, least)})


def _price(name: str) -> Feature:
    return Feature(formula=partial(formulas.to_previous_close, name=name), warmup=lambda: 1)


def _wave(formula: Formula, wave: Callable[[F8], F8]) -> Feature:
    return Feature(formula=partial(formula, wave=wave))


def _change(minutes: int) -> Feature:
    # Bars of a minute take as many of them; longer ones fewer.
    name = f"trade_change_{minutes}m"
    return Feature(formula=partial(formulas.column, name=name), warmup=lambda: minutes, needs="trades")


def _published(frame: pd.DataFrame, column: str) -> F8:
    return formulas.column(frame, column)


def _regime(frame: pd.DataFrame, state: str) -> F8:
    return formulas.column(frame, f"regime_{state}")


FEATURES: Mapping[str, Feature] = {
    "open": _price("open"),
    "high": _price("high"),
    "low": _price("low"),
    "close": _price("close"),
    "volume": _over(formulas.relative_volume, 24, lambda n: n - 1),
    "vwap": Feature(formula=formulas.vwap, warmup=lambda: 1),
    "trade_imbalance": Feature(formula=formulas.trade_imbalance, needs="trades"),
    "change_1m": _change(1),
    "change_5m": _change(5),
    "change_15m": _change(15),
    "size_dispersion": Feature(formula=partial(formulas.column, name="trade_dispersion"), needs="trades"),
    "trade_frequency": Feature(
        formula=formulas.trade_frequency, warmup=lambda n: n - 1, needs="trades", whole={"n": (24, 2)}
    ),
    "volume_acceleration": Feature(formula=formulas.volume_acceleration, warmup=lambda: 1, needs="trades"),
    "large_trades": Feature(formula=formulas.large_trades, warmup=lambda: 1, needs="trades"),
    "flow_imbalance": Feature(formula=formulas.flow_imbalance, needs="trades"),
    "rsi": _over(formulas.rsi, 14, lambda n: n),
    "macd": Feature(
        formula=formulas.macd,
        warmup=lambda fast, slow, signal: slow + signal - 2,
        whole={"fast": (12, 2), "slow": (26, 3), "signal": (9, 1)},
    ),
    "bollinger": _over(formulas.bollinger, 20, lambda n: n - 1),
    "return": _over(formulas.log_return, None, lambda n: n, least=1),
    "realised_volatility": _over(formulas.realised_volatility, 24, lambda n: n),
    "adx": _over(formulas.adx, 14, lambda n: 2 * n - 1),
    "ema": _over(formulas.ema_distance, 24, lambda n: n - 1),
    "atr": _over(formulas.atr_share, 14, lambda n: n, least=1),
    "volume_z": _over(formulas.volume_z, 24, lambda n: n - 1),
    "funding": Feature(formula=partial(formulas.column, name="funding"), needs="funding"),
    "hour_sin": _wave(formulas.of_hour, np.sin),
    "hour_cos": _wave(formulas.of_hour, np.cos),
    "weekday_sin": _wave(formulas.of_weekday, np.sin),
    "weekday_cos": _wave(formulas.of_weekday, np.cos),
    "series": Feature(formula=_published, needs="series", text="column"),
    "regime": Feature(formula=_regime, needs="series", text="state"),
    "volatility_forecast": Feature(formula=partial(formulas.column, name="volatility"), needs="series"),
}

ORDER_BOOK = (
    "spread",
    "book_imbalance",
    "depth",
    "price_impact",
    "order_flow_imbalance",
    "limit_arrivals",
    "cancellations",
    "market_arrivals",
    "pressure",
    "liquidity_by_level",
    "slope",
    "mid_price",
)
"""Reserved for what an order book says; refused by name until books are replayed."""

OHLCV = ("open", "high", "low", "close", "volume")

PRESETS: Mapping[str, tuple[str, ...]] = {
    "bars": (
        "return_1",
        "return_4",
        "return_24",
        "realised_volatility_24",
        "rsi_14",
        "adx_14",
        "ema_12",
        "ema_48",
        "atr_14",
        "macd_12_26_9",
        "bollinger_20",
        "volume_z_24",
        "hour_sin",
        "hour_cos",
        "weekday_sin",
        "weekday_cos",
    ),
    "bars_trades": (
        *("open", "high", "low", "close", "volume_24", "vwap"),
        *("trade_imbalance", "change_1m", "change_5m", "change_15m", "size_dispersion", "trade_frequency_24"),
        *("volume_acceleration", "large_trades", "flow_imbalance", "rsi_14", "macd_12_26_9", "bollinger_20"),
    ),
}
"""Sets of features: 16 of bars alone, and the 18 of bars and trades."""
