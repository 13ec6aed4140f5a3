"""What lay between the decisions of an account and its money, as identities on the ledger's own columns.

With v(p) and m as in `Ledger`, a fill of q units, decided at `arrival` and done at `price` near `reference`, gives

    −m·q·v(price) = −m·q·v(arrival) − m·q·(v(reference) − v(arrival)) − (spread + impact),

so the change of equity is the result of the same fills at arrival prices, plus one term for each thing that came
between: for what was filled, the implementation shortfall of Perold (1988), J. of Portfolio Management 14(3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.data.market import DAY, HOUR
from wfbt.errors import LedgerError
from wfbt.kernels.abi import Liquidity, Outcome, Reason
from wfbt.ledger.wording import stamp

if TYPE_CHECKING:
    from wfbt.ledger.ledger import Ledger

I8 = npt.NDArray[np.int64]
F8 = npt.NDArray[np.float64]

SESSIONS: tuple[tuple[str, int, int], ...] = (("Asia", 0, 8), ("Europe", 8, 16), ("America", 16, 24))
"""Name, first hour and hour after the last, UTC."""

ACCOUNT = "account"
"""The row of a split by symbol that holds what belongs to none: above all, losses that the insurance bore."""


class Part(NamedTuple):
    """One term, as amounts that happened: (N,) each.  `asset` −1 belongs to no symbol."""

    name: str
    ts: I8  # ns UTC
    row: I8
    asset: I8
    amount: F8  # what it did to equity: negative took, positive gave


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attribution:
    """Terms that add up to the change of equity, and how to split them.

    Every table has a column for each term in `names`, then `net` (their sum), `fills` (a count) and `traded` (value of
    the fills, unsigned).  All but the count are money of the account; a term is negative where it took.

    gross : the same fills at arrival prices without any cost, marked at closes; exits, liquidations and breakers arrive
    at their own reference (docs/execution.md), so what a gap takes from a stop is gross; so does an order that rested
    at its limit, since that was the price it had decided on.
    delay : reference against arrival, of the policy's orders: the price moved before they filled.
    spread, impact : what the price cost beyond the reference.
    fees, funding, liquidation : what was charged.
    shortfall : what the insurance paid in.
    """

    ledger: Ledger
    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The terms, from the signal to the money."""
        return tuple(part.name for part in self.parts)

    def total(self) -> pd.Series[float]:
        """All of the account in one row."""
        return self._split([np.zeros(len(part.row), np.int64) for part in self.parts], self._none(), ["all"]).iloc[0]

    def by_symbol(self) -> pd.DataFrame:
        """A row per symbol, and one for the account where something belongs to no symbol, as what the insurance paid.

        The liquidation fee of a bar is shared by the value liquidated in it, as in the table of round trips.
        """
        symbols = self.ledger.symbols
        nobody = len(symbols)
        table = self._split(
            [np.where(part.asset < 0, nobody, part.asset) for part in self.parts],
            self.ledger.fills["asset"].astype(np.int64),
            [*symbols, ACCOUNT],
        )
        return table if table.iloc[nobody].any() else table.iloc[:nobody]

    def by_session(self) -> pd.DataFrame:
        """A row per session of the UTC day: Asia 00–08, Europe 08–16, America 16–24.

        What a fill or a payment cost falls into the session of its own time; what positions earned and the account was
        charged, into the session in which the bar closed (08:00 ends Asia).  LedgerError where bars are longer than
        a session.
        """
        ledger = self.ledger
        bar = int(np.median(np.diff(ledger.ts))) if len(ledger.ts) > 1 else 0
        longest = min(last - first for _, first, last in SESSIONS)
        if bar > longest * HOUR:
            raise LedgerError(f"bars of {bar / HOUR:g} h are longer than a session of {longest} h")
        return self._split(
            [_session(part.ts) for part in self.parts], _session(ledger.fills["ts"]), [name for name, _, _ in SESSIONS]
        )

    def by_label(self, labels: npt.ArrayLike) -> pd.DataFrame:
        """A row per distinct label of bars, in sorted order.

        Parameters
        ----------
        labels : (T,)
            Numbers or text, one for each bar; what happened in a bar, from the close before it to its own, goes under
            its label.  A label that is to explain rather than to describe must have been known at the close before.
        """
        given = np.asarray(labels)
        if given.shape != self.ledger.ts.shape:
            raise LedgerError(f"labels must have shape {self.ledger.ts.shape}, one for each bar, had {given.shape}")
        if (bad := np.flatnonzero(pd.isna(given))).size:
            row = int(bad[0])
            raise LedgerError(
                f"labels: row {row} ({stamp(self.ledger.ts[row])}) has none; give its bars one of their own"
            )
        names, codes = np.unique(given, return_inverse=True)
        return self._split([codes[part.row] for part in self.parts], codes[self.ledger.fill_rows], names.tolist())

    def _none(self) -> I8:
        return np.zeros(len(self.ledger.fills), np.int64)

    def _split(self, codes: list[I8], filled: I8, index: list[Any]) -> pd.DataFrame:
        """One row for each of `index`, from the code of every amount of every part and of every fill."""
        size = len(index)
        columns: dict[str, Any] = {
            part.name: np.bincount(code, weights=part.amount, minlength=size)
            for part, code in zip(self.parts, codes, strict=True)
        }
        columns["net"] = np.sum(list(columns.values()), axis=0)
        columns["fills"] = np.bincount(filled, minlength=size)
        columns["traded"] = np.bincount(filled, weights=self.ledger.traded, minlength=size)
        return pd.DataFrame(columns, index=index)


def attribute(ledger: Ledger) -> Attribution:
    """Take the change of a ledger's equity apart; LedgerError where a fill does not say at which price it was decided.

    A new term is one more part: amounts with their time, bar and symbol.
    """
    fills, payments = ledger.fills, ledger.payments
    if (bad := np.flatnonzero(~(fills["arrival"] > 0))).size:
        i = int(bad[0])
        raise LedgerError(
            f"fill {i} ({stamp(fills['ts'][i])}) has no arrival price, so its delay cannot be told from its result; "
            "give the price at which it was decided"
        )
    asset, row, ts = fills["asset"].astype(np.int64), ledger.fill_rows, fills["ts"]
    size = ledger.multiplier[asset] * fills["qty"]
    rested = fills["liquidity"] == Liquidity.MAKER
    referred = ledger.v(fills["reference"])
    decided = np.where(rested, referred, ledger.v(fills["arrival"]))
    rows = np.arange(len(ledger.ts))
    return Attribution(
        ledger=ledger,
        parts=(
            _gross(ledger, row, asset, size * decided),
            Part("delay", ts, row, asset, -size * (referred - decided)),
            Part("spread", ts, row, asset, -fills["spread"]),
            Part("impact", ts, row, asset, -fills["impact"]),
            Part("fees", ts, row, asset, -fills["fee"]),
            Part("funding", payments["ts"], ledger.payment_rows, payments["asset"], -payments["paid"]),
            _liquidation(ledger, row, asset),
            Part("shortfall", ledger.ts - 1, rows, np.full(len(rows), -1), ledger.shortfall),
        ),
    )


UNDONE = (Outcome.REPLACED, Outcome.EXPIRED, Outcome.REJECTED, Outcome.CUT, Outcome.OPEN)
"""How an order ends short of its goal; one that an exit or a breaker cancelled had nothing left to do."""


def unfilled(ledger: Ledger) -> pd.DataFrame:
    """What orders that ended short of their goal did not get: a row per symbol.

    orders : how many.  units : Σ|goal − position when the order ended|.  missed : what those units would have earned
    from the decision to the close of the bar in which the order ended, Σ m·units·(v(mark) − v(arrival)), in money of
    the account; negative where not being filled was luck.  The account never had it, so it stands beside the terms of
    `attribute`, not among them.  Of a pair the first order's goal counts.
    """
    orders, table = ledger.orders, []
    undone = np.isin(orders["outcome"], UNDONE)
    for a in range(len(ledger.symbols)):
        own = orders[undone & (orders["asset"] == a)]
        fills = ledger.fills[ledger.fills["asset"] == a]
        held = ledger.opening_position[a] + np.r_[0.0, np.cumsum(fills["qty"])]
        rest = own["goal"] - held[np.searchsorted(fills["ts"], own["ended"], side="right")]
        rest[np.abs(rest) <= 1e-9 * np.abs(own["goal"])] = 0.0
        row = np.minimum(np.searchsorted(ledger.ts, own["ended"]), len(ledger.ts) - 1)
        mark = ledger.mark[row, a]
        moved = np.where(np.isnan(mark), 0.0, ledger.v(np.where(np.isnan(mark), 1.0, mark)) - ledger.v(own["arrival"]))
        table.append(
            {
                "orders": int(np.count_nonzero(rest)),
                "units": float(np.abs(rest).sum()),
                "missed": float(ledger.multiplier[a] * (rest * moved).sum()),
            }
        )
    return pd.DataFrame(table, index=list(ledger.symbols))


def cost_bps(split: pd.Series[float]) -> float | None:
    """Delay, spread, impact and fees of one row of a table, in bps of the value traded; None where nothing was."""
    cost = -float(split[["delay", "spread", "impact", "fees"]].sum())
    return cost / float(split["traded"]) * 1e4 if split["traded"] else None


def _gross(ledger: Ledger, row: I8, asset: I8, paid: F8) -> Part:
    """What each position earned in each bar, its fills of that bar taken at their arrival."""
    rows, assets = ledger.position.shape
    worth = ledger.worth(ledger.position, ledger.mark)
    before = np.vstack((ledger.worth(ledger.opening_position, ledger.opening_mark), worth[:-1]))
    spent = np.bincount(row * assets + asset, weights=paid, minlength=rows * assets)
    return Part(
        "gross",
        np.repeat(ledger.ts - 1, assets),
        np.repeat(np.arange(rows), assets),
        np.tile(np.arange(assets), rows),
        (worth - before).ravel() - spent,
    )


def _liquidation(ledger: Ledger, row: I8, asset: I8) -> Part:
    """Liquidation fees of each bar, shared by the value that each fill liquidated; without such a fill, nobody's."""
    forced = np.flatnonzero(ledger.fills["reason"] == Reason.LIQUIDATION)
    value = ledger.traded[forced]
    whole = np.bincount(row[forced], weights=value, minlength=len(ledger.ts))
    alone = np.flatnonzero((whole == 0) & (ledger.liquidation > 0))
    return Part(
        "liquidation",
        np.append(ledger.fills["ts"][forced], ledger.ts[alone] - 1),
        np.append(row[forced], alone),
        np.append(asset[forced], np.full(len(alone), -1)),
        -np.append(ledger.liquidation[row[forced]] * value / whole[row[forced]], ledger.liquidation[alone]),
    )


def _session(ts: I8) -> I8:
    """Index into SESSIONS of each time."""
    hour = ts % DAY // HOUR
    return np.searchsorted([last for _, _, last in SESSIONS], hour, side="right")
