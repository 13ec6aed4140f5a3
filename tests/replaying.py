"""Run a Case through the kernel and through its naive twin, with outputs that can be laid side by side."""

import contextlib
from dataclasses import dataclass

import numpy as np

from tests.markets import Case
from tests.naive.bars import replay as naive_replay
from wfbt.engine.tape import terms_of
from wfbt.kernels.abi import ACCOUNT, FILL, LANE, PAYMENT, TALLY, record_of
from wfbt.kernels.bars import replay


@dataclass(frozen=True)
class Replayed:
    """What one lane wrote."""

    equity: np.ndarray
    cash: np.ndarray
    position: np.ndarray
    liquidation: np.ndarray
    shortfall: np.ndarray
    fills: np.ndarray
    payments: np.ndarray
    daily: np.ndarray
    tally: np.void


def layout(case: Case) -> tuple[np.ndarray, int]:
    """Rows that end a day, and the most orders in flight."""
    rows = len(case.tape.open_ts)
    day_rows = np.union1d(np.flatnonzero(case.tape.day_end), [rows - 1]).astype(np.int64)
    live = np.searchsorted(case.tape.close_ts, case.tape.arrive, side="right") - np.arange(rows)[:, None]
    return day_rows, int(max(1, live.max()))


def kernel(case: Case, start: int = 0, stop: int | None = None, keep: bool = True, function=replay) -> Replayed:
    """One lane through `function`, the compiled kernel or its Python source."""
    rows, assets = case.tape.open.shape
    stop = rows if stop is None else stop
    day_rows, slots = layout(case)
    lanes = np.zeros(1, LANE)
    lanes["start"], lanes["stop"], lanes["last"] = start, stop, len(case.intents)
    kept = max(2, stop - start) if keep else 1
    equity, cash, liquidation, shortfall = (np.zeros(kept) for _ in range(4))
    position = np.zeros((kept, assets))
    fills = np.zeros(rows * assets * (slots + 5) + 64 if keep else 1, FILL)
    payments = np.zeros(max(1, len(case.stamps)) if keep else 1, PAYMENT)
    daily, tally = np.full((1, len(day_rows)), np.nan), np.zeros(1, TALLY)
    terms = terms_of(case.tape, case.assets, case.rules.horizon)
    # Interpreted code warns of the NaN and the divisions that compiled code is meant to make.
    quiet = contextlib.nullcontext() if hasattr(function, "signatures") else np.errstate(all="ignore")
    with quiet:
        function(
            case.tape, terms, case.stamps, case.assets, day_rows, case.intents, lanes, record_of(case.rules), slots,
            fills, payments, equity, cash, position, liquidation, shortfall, daily, tally, np.zeros(1, ACCOUNT),
        )  # fmt: skip
    n = stop - start if keep else 0
    written = tally[0]
    return Replayed(
        equity=equity[:n],
        cash=cash[:n],
        position=position[:n],
        liquidation=liquidation[:n],
        shortfall=shortfall[:n],
        fills=fills[: written["fills"] if keep else 0],
        payments=payments[: written["payments"] if keep else 0],
        daily=daily[0],
        tally=written,
    )


def naive(case: Case, start: int = 0, stop: int | None = None) -> dict:
    """The same lane through the twin."""

    def plain(records: np.ndarray) -> list[dict]:
        return [{name: record[name].item() for name in records.dtype.names} for record in records]

    rules = case.rules._asdict()
    return naive_replay(case.tape, plain(case.intents), plain(case.stamps), plain(case.assets), rules, start, stop)
