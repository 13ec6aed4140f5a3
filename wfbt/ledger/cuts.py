"""How much of what an order asked for leverage, or the cash at the price of its fill, cut away."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wfbt.kernels.abi import Outcome
from wfbt.ledger.ledger import Ledger

F8 = npt.NDArray[np.float64]


def cut_shares(ledger: Ledger) -> F8:
    """(M,) share of each order's asked units that it did not get, 0 for orders that ended otherwise than CUT.

    Asked is what was filled and what then was left to its goal, so an order that was cut to nothing has 1.  Fills of
    other orders at the very moment of its end count as before it.
    """
    orders, fills = ledger.orders, ledger.fills
    shares = np.zeros(len(orders))
    for a in range(len(ledger.symbols)):
        own = np.flatnonzero((orders["outcome"] == Outcome.CUT) & (orders["asset"] == a))
        traded = fills[fills["asset"] == a]
        held = ledger.opening_position[a] + np.r_[0.0, np.cumsum(traded["qty"])]
        rest = orders["goal"][own] - held[np.searchsorted(traded["ts"], orders["ended"][own], side="right")]
        asked = np.abs(orders["filled"][own] + rest)
        shares[own] = np.where(asked > 0, np.abs(rest) / np.where(asked > 0, asked, 1.0), 0.0)
    return shares
