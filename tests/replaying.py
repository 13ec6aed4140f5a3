"""Run a Case through the kernel and through its naive twin, with outputs that can be laid side by side."""

import contextlib
from dataclasses import dataclass

import numpy as np

from tests.markets import Case
from tests.naive.bars import replay as naive_replay
from wfbt.engine.tape import terms_of
from wfbt.kernels.abi import (
    EVENT,
    FILL,
    LANE,
    LIQUIDATION,
    ORDER_LOG,
    PAYMENT,
    TALLY,
    desk_of,
    record_of,
)
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
    orders: np.ndarray
    events: np.ndarray
    liquidations: np.ndarray
    daily: np.ndarray
    tally: np.void


def layout(case: Case) -> tuple[np.ndarray, int]:
    """Rows that end a day, and the most orders of one asset in flight: without a pause those that are under way."""
    rows = len(case.tape.open_ts)
    day_rows = np.union1d(np.flatnonzero(case.tape.day_end), [rows - 1]).astype(np.int64)
    live = np.searchsorted(case.tape.close_ts, case.tape.arrive, side="right") - np.arange(rows)[:, None]
    slots = int(max(1, live.max()))
    if case.rules.min_interval > 0:
        slots = int(min(case.rules.max_open, rows + 1))  # a decision a row can wait behind the pauses
    return day_rows, slots


def frozen(group):
    """A group of arrays that nobody can write to, as a deck's are: the kernel is compiled for those alone."""
    arrays = [np.array(array) for array in group]
    for array in arrays:
        array.flags.writeable = False
    return type(group)(*arrays)


def kernel(
    case: Case, start: int = 0, stop: int | None = None, keep: bool = True, function=replay, waits: bool = False
) -> Replayed:
    """One lane through `function`, the compiled kernel or its source; left before each decision if it `waits`."""
    rows, assets = case.tape.open.shape
    stop = rows if stop is None else stop
    day_rows, slots = layout(case)
    lanes = np.zeros(1, LANE)
    lanes["start"], lanes["stop"], lanes["last"], lanes["waits"] = start, stop, len(case.intents), waits
    kept = max(2, stop - start) if keep else 1
    equity, cash, liquidation, shortfall = (np.zeros(kept) for _ in range(4))
    position = np.zeros((kept, assets))
    room = rows * assets * (slots + 12) + 64
    fills = np.zeros(room if keep else 1, FILL)
    orders = np.zeros(rows * assets * 2 + 64 if keep else 1, ORDER_LOG)
    events = np.zeros(rows * (assets + 1) + 64 if keep else 1, EVENT)
    liquidations = np.zeros(rows * assets + 64 if keep else 1, LIQUIDATION)
    payments = np.zeros(max(1, len(case.stamps)) if keep else 1, PAYMENT)
    daily, tally = np.full((1, len(day_rows)), np.nan), np.zeros(1, TALLY)
    terms = terms_of(case.tape, case.assets, case.rules.horizon)
    # Interpreted code warns of the NaN and the divisions that compiled code is meant to make.
    quiet = contextlib.nullcontext() if hasattr(function, "signatures") else np.errstate(all="ignore")
    desk = desk_of(1, assets, slots)
    with quiet:
        while True:
            function(
                case.tape, terms, case.stamps, case.assets, day_rows, case.intents, lanes, record_of(case.rules), slots,
                frozen(case.activity), frozen(case.venue), fills, payments, orders, events,
                liquidations, equity, cash, position, liquidation, shortfall, daily, tally, desk,
            )  # fmt: skip
            if not desk.carry["under_way"][0]:
                break
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
        orders=orders[: written["orders"] if keep else 0],
        events=events[: written["events"] if keep else 0],
        liquidations=liquidations[: written["liquidations"] if keep else 0],
        daily=daily[0],
        tally=written,
    )


def naive(case: Case, start: int = 0, stop: int | None = None) -> dict:
    """The same lane through the twin."""

    def plain(records: np.ndarray) -> list[dict]:
        return [{name: record[name].item() for name in records.dtype.names} for record in records]

    rules = case.rules._asdict()
    return naive_replay(
        case.tape, plain(case.intents), plain(case.stamps), plain(case.assets), rules, start, stop, case.activity,
        case.venue,
    )  # fmt: skip


def kernel_told(case: Case) -> dict:
    """What the kernel wrote, in the form of the twin's answer."""
    done = kernel(case)

    def plain(records: np.ndarray) -> list[dict]:
        return [{name: record[name].item() for name in records.dtype.names} for record in records]

    tally = {name: done.tally[name].item() for name in done.tally.dtype.names}
    curves = {name: getattr(done, name).tolist() for name in ("equity", "cash", "position")}
    lists = {name: plain(getattr(done, name)) for name in ("fills", "payments", "orders", "events", "liquidations")}
    return {**tally, "tally": tally, **curves, **lists}
