"""Rows of a portfolio on which nothing can happen, passed in one tight loop."""

from math import inf, isnan

import numpy as np

from wfbt.kernels._jit import part
from wfbt.kernels.account import end_drawdown, value
from wfbt.kernels.exits import ratchets
from wfbt.kernels.margin import backing

NEARLY = 1e-9  # of cash: so near to the margin a full row decides


@part
def glide_together(
    account, tally, state, contracts, open_ts, high, low, mark_open, mark_high, mark_low, mark_close, floor_of, roof_of,
    t, due, least, total, worth, equity, cash, position, start, keep, breakers, rules,
):  # fmt: skip
    """Hold the positions of several assets from row `t` on, up to the first row that needs the full steps.

    Prices and marks are flat.  Returns that row, equity as it was last reckoned, and the sum of equity so far.  No
    later than `due`; `least` is the equity at which a breaker acts or the account is empty.
    """
    assets, funds = len(state), account["cash"]
    isolated, ratcheted = rules["isolated"] != 0, rules["ratchet_after"] < inf
    peak, trough = account["peak"], account["trough"]
    for a in range(assets):
        if state[a]["position"] != 0.0:
            level, target = state[a]["level"], state[a]["target"]
            long = state[a]["position"] > 0.0
            floor_of[a] = level if long else target
            roof_of[a] = target if long else level
    still = True
    while t < due:
        worth, worst, need = funds, funds, 0.0
        for a in range(assets):
            s, c = state[a], contracts[a]
            if s["position"] == 0.0:
                continue
            x = np.uint64(t * assets + a)
            # Open bounds on both sides: a touch that would do nothing only costs a full row.
            still = low[x] > floor_of[a] and high[x] < roof_of[a] and open_ts[t] < s["deadline"]
            if not still or not isnan(s["trail"]) or (ratcheted and ratchets(s, rules)):
                still = False
                break
            units = c["multiplier"] * s["position"]
            worth += units * value(mark_close[x], c["inverse"])
            adverse = units * value(
                min(mark_open[x], mark_low[x]) if units > 0.0 else max(mark_open[x], mark_high[x]), c["inverse"]
            )
            worst += adverse
            need += s["margin"] * abs(adverse)
            if isolated and backing(account, s, c, rules) + adverse <= s["margin"] * abs(adverse) + NEARLY * abs(funds):
                still = False
                break
        if not still or worth <= least or (not isolated and worst <= need + NEARLY * abs(funds)):
            break
        total += worth
        if worth > peak:
            end_drawdown(tally, peak, trough)
            peak, trough = worth, worth
            if breakers:
                least = max(least, peak * (1.0 - rules["drawdown"]))
        trough = min(trough, worth)
        if keep:
            o = np.uint64(t - start)
            equity[o] = worth
            cash[o] = funds
            for a in range(assets):
                position[o, a] = state[a]["position"]
        t += 1
    account["peak"] = peak
    account["trough"] = trough
    return t, worth, total
