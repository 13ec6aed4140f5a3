"""What an account did at a venue, laid beside the replay of the same span.

Both sides are taken order by order: the fills of one order are added up, its price is their average, its time that of
the first.  An order of one side is matched with the nearest in time of the other, symbol and side being the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml

from wfbt.data.market import BPS, SECOND
from wfbt.errors import ConfigError, DataError
from wfbt.ledger.calibration import Setting, settings_of
from wfbt.ledger.trade_log import ns_of, plain_symbol
from wfbt.ledger.wording import stamp

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]

DECIDED = ("target", "band")
"""Reasons of orders that leave at a bar's close, so that their delay can be told; an exit leaves when a price comes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Replay:
    """What a run folder knows of the account it replayed.

    Attributes
    ----------
    name : str
    fills : DataFrame
        As `Ledger.fills_frame`.
    closes : (T,) int64
        Closes of the bars, ns UTC.
    contracts : mapping of symbol → {multiplier, inverse}
    costs : mapping
        The section of the strategy, every default filled in.
    """

    name: str
    fills: pd.DataFrame
    closes: I8
    contracts: Mapping[str, Mapping[str, Any]]
    costs: Mapping[str, Any]

    @property
    def bar(self) -> int:
        """ns of a bar."""
        return int(np.median(np.diff(self.closes))) if len(self.closes) > 1 else 0


def read_run(folder: Path) -> Replay:
    """The replay in a run folder; ConfigError where it is none."""
    for name in ("fills.parquet", "equity.parquet", "config.resolved.yaml"):
        if not (folder / name).is_file():
            raise ConfigError(f"{folder} is no run folder: it has no {name}; name one that wfbt run has written")
    config = yaml.safe_load((folder / "config.resolved.yaml").read_text(encoding="utf-8"))
    times = pd.read_parquet(folder / "equity.parquet", columns=["timestamp"])["timestamp"]
    return Replay(
        name=folder.name,
        fills=pd.read_parquet(folder / "fills.parquet"),
        closes=ns_of(times),
        contracts={symbol: one["contract"] for symbol, one in config["data"]["symbols"].items()},
        costs=config["costs"],
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """A replay and a log of the same span.

    Attributes
    ----------
    start, stop : int
        The span both cover, ns UTC.
    matched : DataFrame
        A row per order: timestamp · symbol · side · reason · liquidity · live_liquidity · qty · live_qty · price ·
        live_price · price_bps (live against replayed price, positive: worse for the trader) · delay_s (live after
        replayed) · fee · live_fee (currency of the account, NaN where it is unknown) · fee_bps (live less replayed, of
        the value traded); then what settings are estimated from: cost (live price beyond the replay's reference) ·
        impact (that of the replay, as a fraction) · live_value · latency · replayed_latency (ns after the close of the
        decision, NaN for exits).
    missed, extra : DataFrame
        Orders of the replay alone and of the log alone: timestamp · symbol · side · qty · price.
    settings : tuple of Setting
        What the replay would have had to assume to come out like the log.
    notes : tuple of str
    """

    name: str
    start: int
    stop: int
    within: int
    matched: pd.DataFrame
    missed: pd.DataFrame
    extra: pd.DataFrame
    settings: tuple[Setting, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: counts, medians and means, settings, and every order that was missed or extra."""
        m = self.matched
        decided = m[m["reason"].isin(DECIDED)]
        ratio = m["live_qty"] / m["qty"]
        return {
            "run": self.name,
            "start": stamp(self.start),
            "stop": stamp(self.stop),
            "within_s": self.within / SECOND,
            "matched": len(m),
            "missed": _orders(self.missed),
            "extra": _orders(self.extra),
            "price_bps": _spread_of(m["price_bps"]),
            "delay_s": _spread_of(decided["delay_s"]),
            "fee_bps": _spread_of(m["fee_bps"]),
            "quantity": _spread_of(ratio),
            "settings": {
                one.key: {
                    "unit": one.unit, "replayed": one.replayed, "live": one.live, "error": one.error,
                    "observations": one.observations, "reason": one.reason or None,
                }
                for one in self.settings
            },
            "notes": list(self.notes),
        }  # fmt: skip


def compare(replay: Replay, log: pd.DataFrame, within: int | None = None) -> Comparison:
    """Match `log` (of `trade_log.read_log`) with `replay` order by order.

    Orders further apart than `within` ns are two, not one; by default a bar, because an exit inside a bar is stamped
    with its end.  What the replay did more than that before the first or after the last fill of the log is left out:
    the log does not say since when the account was watched.  DataError where they have no symbol or time in common.
    """
    within = replay.bar if within is None else within
    notes: list[str] = []
    symbols = {plain_symbol(symbol): symbol for symbol in replay.contracts}
    theirs = log["symbol"].map(lambda name: symbols.get(plain_symbol(name)))
    if theirs.isna().all():
        raise DataError(
            f"the log is of {', '.join(sorted(set(log['symbol'])))}, the run of {', '.join(replay.contracts)}; "
            "they have no symbol in common"
        )
    if theirs.isna().any():
        others = ", ".join(sorted(set(log["symbol"][theirs.isna()])))
        notes.append(f"{int(theirs.isna().sum())} fills of {others} are of symbols the run does not trade; left out")
    log = log.assign(symbol=theirs)[theirs.notna()]
    start = max(int(log["ts"].min()) - within, int(replay.closes[0]) - replay.bar)
    stop = min(int(log["ts"].max()) + within, int(replay.closes[-1]))
    if start >= stop:
        raise DataError(
            f"the log ends on {stamp(log['ts'].max())} and begins on {stamp(log['ts'].min())}, the run spans "
            f"{stamp(replay.closes[0] - replay.bar)} to {stamp(replay.closes[-1])}; they have no time in common"
        )
    ours, live = _replayed(replay), _logged(log, replay.contracts, notes)
    ours = _inside(ours, start, stop, "orders of the replay lie outside of the log's span", notes)
    live = _inside(live, start, stop, "orders of the log lie outside of the run's span", notes)
    a, b = _nearest(ours, live, within)
    matched = _matched(ours.iloc[a].reset_index(drop=True), live.iloc[b].reset_index(drop=True))
    return Comparison(
        name=replay.name,
        start=start,
        stop=stop,
        within=within,
        matched=matched,
        missed=_alone(ours.drop(ours.index[a])),
        extra=_alone(live.drop(live.index[b])),
        settings=settings_of(replay.costs, matched, live),
        notes=tuple(notes),
    )


def _value(
    qty: pd.Series[float],
    price: pd.Series[float],
    symbols: pd.Series[str],
    contracts: Mapping[str, Mapping[str, Any]],
) -> pd.Series[float]:
    """What a quantity is worth in the currency of the account: quote, or coin of an inverse contract."""
    multiplier = symbols.map({name: float(one["multiplier"]) for name, one in contracts.items()})
    inverse = symbols.map({name: bool(one["inverse"]) for name, one in contracts.items()})
    return pd.Series(multiplier * qty * price.where(~inverse, 1.0 / price), dtype=np.float64)


def _grouped(fills: pd.DataFrame, keys: list[str], sums: list[str]) -> pd.DataFrame:
    """One row per order: sums, quantity-weighted prices, the first time and the first words."""
    weighted = [name for name in ("price", "reference") if name in fills]
    table = fills.assign(**{name: fills[name] * fills["qty"] for name in weighted}, unsaid=fills["fee"].isna())
    first = [name for name in ("reason", "liquidity") if name in fills]
    rules: dict[str, Any] = {"ts": "min", **dict.fromkeys(first, "first")}
    groups = table.groupby(keys, sort=False)
    out = groups.agg(rules).join(groups[["qty", *weighted, *sums]].sum(min_count=1))
    # One fill of unknown fee leaves the fee of its order unknown.
    out["fee"] = out["fee"].mask(groups["unsaid"].any())
    # Part maker, part taker is neither.
    out["liquidity"] = out["liquidity"].where(groups["liquidity"].nunique() == 1, "mixed")
    for name in weighted:
        out[name] /= out["qty"]
    return out.reset_index().sort_values("ts", kind="stable", ignore_index=True)


def _replayed(replay: Replay) -> pd.DataFrame:
    fills = replay.fills.assign(ts=ns_of(replay.fills["timestamp"]))
    fills["base"] = _value(fills["qty"], fills["reference"], fills["symbol"], replay.contracts)
    out = _grouped(fills, ["symbol", "side", "parent"], ["fee", "spread", "base"])
    out["value"] = _value(out["qty"], out["price"], out["symbol"], replay.contracts)
    sign = np.where(out["side"] == "buy", 1.0, -1.0)
    # Tick rounding counts as impact, as in the ledger.
    out["impact"] = sign * (out["price"] / out["reference"] - 1.0) - out["spread"] / out["base"]
    row = np.searchsorted(replay.closes, out["ts"].to_numpy(), side="right") - 1
    out["decided"] = replay.closes[np.maximum(row, 0)]
    return out


def _logged(log: pd.DataFrame, contracts: Mapping[str, Mapping[str, Any]], notes: list[str]) -> pd.DataFrame:
    inverse = log["symbol"].map({name: bool(one["inverse"]) for name, one in contracts.items()})
    base = pd.Series([_is_base(s, c) for s, c in zip(log["symbol"], log["currency"], strict=True)], log.index)
    quote = pd.Series([_is_quote(s, c) for s, c in zip(log["symbol"], log["currency"], strict=True)], log.index)
    unsaid = log["currency"] == ""
    direct = unsaid | quote.where(~inverse, base)
    converted = log["fee"].where(direct, log["fee"] * log["price"].where(~inverse, 1.0 / log["price"]))
    fee = converted.where(direct | base | quote)
    if lost := sorted(set(log["currency"][fee.isna() & log["fee"].notna()])):
        notes.append(f"fees in {', '.join(lost)} cannot be turned into the account's currency and are left out")
    if log["fee"].isna().any():
        notes.append(f"{int(log['fee'].isna().sum())} fills say no fee")
    single = pd.Series([f"fill {row}" for row in log.index], log.index)
    table = log.assign(fee=fee, order=log["order"].where(log["order"] != "", single))
    out = _grouped(table, ["symbol", "side", "order"], ["fee"])
    out["value"] = _value(out["qty"], out["price"], out["symbol"], contracts)
    return out


def _is_base(symbol: str, currency: str) -> bool:
    return bool(currency) and plain_symbol(symbol).startswith(currency)


def _is_quote(symbol: str, currency: str) -> bool:
    return bool(currency) and plain_symbol(symbol).endswith(currency)


def _inside(orders: pd.DataFrame, start: int, stop: int, what: str, notes: list[str]) -> pd.DataFrame:
    inside = (orders["ts"] >= start) & (orders["ts"] <= stop)
    if not inside.all():
        notes.append(f"{int((~inside).sum())} {what} and are left out")
    return orders[inside].reset_index(drop=True)


def _nearest(ours: pd.DataFrame, live: pd.DataFrame, within: int) -> tuple[I8, I8]:
    """Rows of each that belong together: whoever are nearest to each other, then among the rest, until none is left."""
    pairs: list[tuple[I8, I8]] = []
    for key, mine in ours.groupby(["symbol", "side"]).indices.items():
        theirs = live.groupby(["symbol", "side"]).indices.get(key, np.zeros(0, np.int64))
        a, b = np.asarray(mine, np.int64), np.asarray(theirs, np.int64)
        t, u = ours["ts"].to_numpy(), live["ts"].to_numpy()
        while len(a) and len(b):
            to_b, to_a = _closest(t[a], u[b]), _closest(u[b], t[a])
            mutual = np.flatnonzero((to_a[to_b] == np.arange(len(a))) & (np.abs(t[a] - u[b[to_b]]) <= within))
            if not len(mutual):
                break
            pairs.append((a[mutual], b[to_b[mutual]]))
            a, b = np.delete(a, mutual), np.delete(b, to_b[mutual])
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    order = np.argsort(first)
    return first[order], second[order]


def _closest(ts: I8, others: I8) -> I8:
    """For each of sorted `ts` the index of the nearest of sorted `others`, the first of equals."""
    after = np.minimum(np.searchsorted(others, ts, side="left"), len(others) - 1)
    before = np.searchsorted(others, others[np.maximum(after - 1, 0)], side="left")
    return np.where(np.abs(others[before] - ts) <= np.abs(others[after] - ts), before, after)


def _matched(ours: pd.DataFrame, live: pd.DataFrame) -> pd.DataFrame:
    sign = np.where(ours["side"] == "buy", 1.0, -1.0)
    # Whole ns are taken from each other before they become floats, which have no room for ns since 1970.
    decided = ours["reason"].isin(DECIDED) & (ours["decided"] <= ours["ts"])
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(ours["ts"], unit="ns", utc=True),
            **{name: ours[name] for name in ("symbol", "side", "reason", "liquidity")},
            # A log that does not say is taken at the replay's word.
            "live_liquidity": live["liquidity"].where(live["liquidity"] != "", ours["liquidity"]),
            "qty": ours["qty"],
            "live_qty": live["qty"],
            "price": ours["price"],
            "live_price": live["price"],
            "price_bps": sign * (live["price"] / ours["price"] - 1.0) / BPS,
            "delay_s": (live["ts"] - ours["ts"]) / SECOND,
            "fee": ours["fee"],
            "live_fee": live["fee"],
            "fee_bps": (live["fee"] / live["value"] - ours["fee"] / ours["value"]) / BPS,
            "cost": sign * (live["price"] / ours["reference"] - 1.0),
            "impact": ours["impact"],
            "live_value": live["value"],
            "latency": np.where(decided, live["ts"] - ours["decided"], np.nan),
            "replayed_latency": np.where(decided, ours["ts"] - ours["decided"], np.nan),
        }
    )


def _alone(orders: pd.DataFrame) -> pd.DataFrame:
    out = orders.assign(timestamp=pd.to_datetime(orders["ts"], unit="ns", utc=True))
    return out[["timestamp", "symbol", "side", "qty", "price"]].reset_index(drop=True)


def _orders(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"timestamp": stamp(when.value), "symbol": symbol, "side": side, "qty": float(qty), "price": float(price)}
        for when, symbol, side, qty, price in table.itertuples(index=False)
    ]


def _spread_of(values: pd.Series[float]) -> dict[str, Any]:
    known = values.dropna()
    if known.empty:
        return {"observations": 0, "mean": None, "median": None, "p95": None}
    return {
        "observations": len(known),
        "mean": float(known.mean()),
        "median": float(known.median()),
        "p95": float(known.quantile(0.95)),
    }
