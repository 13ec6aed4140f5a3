"""Does a ledger add up?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from wfbt.errors import LedgerError
from wfbt.kernels.abi import Reason
from wfbt.ledger.wording import stamp

if TYPE_CHECKING:
    from wfbt.ledger.ledger import Ledger

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What was checked.

    Attributes
    ----------
    rows, fills, payments : int
    traded : float
        Value of all fills.
    worst : float
        Largest difference found, relative to the money (or units) that moved or stood in its row.
    """

    rows: int
    fills: int
    payments: int
    traded: float
    worst: float


class _Identity(NamedTuple):
    says: str
    rows: I8
    expected: F8
    found: F8
    scale: F8  # what moved or stood there; the tolerance is a share of it
    numbers: I8  # of the fill or payment, or of the symbol


def reconcile(ledger: Ledger, rtol: float) -> Reconciliation:
    """Check every identity on every row; each row against the one before, so that an error is found where it is."""
    worst = 0.0
    failures: list[tuple[int, int, str]] = []
    for order, one in enumerate(
        (*_fills(ledger), _payments(ledger), _position(ledger), _cash(ledger), _equity(ledger))
    ):
        gap = np.abs(one.found - one.expected)
        bad = np.flatnonzero(~(gap <= rtol * one.scale))
        if bad.size:
            i = int(bad[np.argmin(one.rows[bad])])
            what = one.says.format(number=one.numbers[i], symbol=_symbol(ledger, one.numbers[i]))
            failures.append(
                (int(one.rows[i]), order, f"{what}: expected {one.expected[i]:.15g}, found {one.found[i]:.15g}")
            )
        share = np.divide(gap, one.scale, out=np.zeros_like(gap), where=one.scale > 0)
        worst = max(worst, float(np.max(share, initial=0.0)))
    if failures:
        row, _, message = min(failures)
        raise LedgerError(f"the ledger does not add up: row {row} ({stamp(ledger.ts[row])}): {message}")
    return Reconciliation(
        rows=len(ledger.ts),
        fills=len(ledger.fills),
        payments=len(ledger.payments),
        traded=float(ledger.traded.sum()),
        worst=worst,
    )


def _symbol(ledger: Ledger, number: int) -> str:
    return ledger.symbols[number] if number < len(ledger.symbols) else ""


def _fills(ledger: Ledger) -> tuple[_Identity, _Identity]:
    """Spread and impact are what the price cost; a liquidation's fee is in its own column."""
    fills, numbers, rows = ledger.fills, np.arange(len(ledger.fills)), ledger.fill_rows
    paid = ledger.multiplier[fills["asset"]] * fills["qty"] * (ledger.v(fills["price"]) - ledger.v(fills["reference"]))
    forced = fills["reason"] == Reason.LIQUIDATION
    return (
        _Identity(
            "spread + impact of fill {number} must be m·qty·(v(price) − v(reference))",
            rows, paid, fills["spread"] + fills["impact"], ledger.traded, numbers,
        ),
        _Identity(
            "fee of fill {number}, a liquidation, must be 0 (its fee is in the column liquidation)",
            rows[forced], np.zeros(int(forced.sum())), fills["fee"][forced], np.zeros(int(forced.sum())),
            numbers[forced],
        ),
    )  # fmt: skip


def _payments(ledger: Ledger) -> _Identity:
    p = ledger.payments
    due = ledger.multiplier[p["asset"]] * p["position"] * np.abs(ledger.v(p["mark"])) * p["rate"]
    return _Identity(
        "funding payment {number} must be m·position·|v(mark)|·rate",
        ledger.payment_rows, due, p["paid"], np.abs(due), np.arange(len(p)),
    )  # fmt: skip


def _position(ledger: Ledger) -> _Identity:
    rows, assets = ledger.position.shape
    cell = ledger.fill_rows * assets + ledger.fills["asset"]
    change = np.bincount(cell, weights=ledger.fills["qty"], minlength=rows * assets)
    moved = np.bincount(cell, weights=np.abs(ledger.fills["qty"]), minlength=rows * assets)
    before = np.vstack((ledger.opening_position, ledger.position[:-1])).ravel()
    return _Identity(
        "position in {symbol} must be that of the bar before plus its fills",
        np.repeat(np.arange(rows), assets), before + change, ledger.position.ravel(), np.abs(before) + moved,
        np.tile(np.arange(assets), rows),
    )  # fmt: skip


def _cash(ledger: Ledger) -> _Identity:
    fills, rows = ledger.fills, len(ledger.ts)
    spent = ledger.multiplier[fills["asset"]] * fills["qty"] * ledger.v(fills["price"])
    before = np.append(ledger.opening_cash, ledger.cash[:-1])
    bought = np.bincount(ledger.fill_rows, weights=spent, minlength=rows)
    moved = np.bincount(ledger.fill_rows, weights=np.abs(spent), minlength=rows)
    expected = before - bought - ledger.fees - ledger.funding - ledger.liquidation + ledger.shortfall
    return _Identity(
        "cash must be that of the bar before − Σ m·qty·v(price) − fees − funding − liquidation + shortfall",
        np.arange(rows), expected, ledger.cash, np.abs(before) + moved, np.arange(rows),
    )  # fmt: skip


def _equity(ledger: Ledger) -> _Identity:
    worth = ledger.worth(ledger.position, ledger.mark)
    rows = np.arange(len(ledger.ts))
    return _Identity(
        "equity must be cash + Σ m·position·v(mark)",
        rows, ledger.cash + worth.sum(axis=1), ledger.equity, np.abs(ledger.cash) + np.abs(worth).sum(axis=1), rows,
    )  # fmt: skip
