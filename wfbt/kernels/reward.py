"""What a step gives back to whoever decides: its reward, whether the episode is over, and what is seen next."""

from enum import IntEnum
from math import copysign, log, sqrt

import numpy as np

from wfbt.kernels._jit import njit, prefetch
from wfbt.kernels.account import NEVER, value


class Kind(IntEnum):
    """Which reward; their formulas are in `wfbt.learn.reward`."""

    SIX = 0
    DIFFERENTIAL_SHARPE = 1
    LOG_RETURN = 2
    PORTFOLIO = 3


REWARD = np.dtype(
    [
        ("kind", np.int64),
        ("unit", np.float64),  # return that counts as 1
        ("window", np.int64),  # decision bars of the ratio
        ("downside", np.int64),  # the ratio is Sortino's
        ("threshold", np.float64),  # drawdown that costs nothing
        ("max_trades", np.float64),
        ("holding", np.float64),  # decision bars
        ("rate", np.float64),  # η of the moving moments
        ("free_gross", np.float64),  # gross value over equity that costs nothing
        ("most_gross", np.float64),
        ("of_return", np.float64),  # weights
        ("of_ratio", np.float64),
        ("of_drawdown", np.float64),
        ("of_trades", np.float64),
        ("of_holding", np.float64),
        ("of_spread", np.float64),
        ("of_concentration", np.float64),
        ("of_leverage", np.float64),
    ],
    align=True,
)

MEMORY = np.dtype(
    [
        ("worth", np.float64),  # equity at the last decision, quote
        ("fills", np.int64),
        ("spread", np.float64),  # paid so far, quote
        ("total", np.float64),  # of the returns in the window
        ("squares", np.float64),  # of them, of the negative ones alone for Sortino
        ("count", np.int64),
        ("place", np.int64),  # of the next return in the ring
        ("usual", np.float64),  # mean spread of the steps that paid one, fraction of equity
        ("payers", np.int64),
        ("first", np.float64),  # moving mean of returns
        ("second", np.float64),  # and of their squares
        ("rewards", np.float64),  # so far
    ],
    align=True,
)
"""What a lane's reward remembers of its episode; all of it begins anew with the next."""

BOOK = ("equity", "fees", "spread", "impact", "funding", "liquidation")
"""What is told of each account in money, since its episode began but for equity; funding positive: paid."""

FLOOR = 0.01
"""Deviation below which a ratio grows no further, in units."""

LEAST_LEFT = 1e-6
"""Share of its equity that a log return takes an account that has lost it all to have kept."""

AHEAD = 6
"""Lanes ahead of which the next row of features is asked for."""


@njit
def appraise(
    desk, watch, tallies, contracts, mark_close, features, known, view, gone, rule, liquidation_ends, live, bar, end,
    memory, ring, seen, rewards, terminated, truncated, books, positions, blind,
):  # fmt: skip
    """Reward each lane that has just come to its next decision, judge whether its episode is over, and show it the row.

    Parameters
    ----------
    desk : Desk, in and out
        A lane whose episode is over waits no longer.
    watch : Watch
    tallies : (L,) TALLY
    contracts : (A,) ASSET
    mark_close : (E, A) float64
    features : (T, X) float32
        Of each decision bar, finite.
    known : (T, A) bool
        Whether an asset's features are known; where they are not, it is left alone.  Without rows: all are.
    view : (L, V) float64
        What each account sees of itself.
    gone : (V,) float64
        What one that has lost everything sees.
    rule : (1,) REWARD
    liquidation_ends : bool
        An episode ends with a liquidation, not only with the last of the money.
    live : (L,) bool
        Lanes that took a step; the others get a reward of 0 and nothing else.
    bar : (L,) int64, in and out
        Decision bar each lane stands at.
    end : (L,) int64
        Decision bar with which its episode is cut off.
    memory : (L,) MEMORY; ring : (L, W) float64, in and out
    seen : (L, X + V) float32, out
    rewards : (L,) float64; terminated, truncated : (L,) bool, out
    books : (L, 6) float64, out
        As BOOK.
    positions : (L, A) float64, out
        Units.
    blind : (L, A) bool, out
        Assets whose features are not known on the row that is shown.

    Returns
    -------
    (int, int)
        Episodes that are over, and assets that are blind.
    """
    lanes, assets = positions.shape
    wide, narrow = features.shape[1], view.shape[1]
    # Loaded and divided once: a store into any array could have changed them, as far as a compiler knows.
    of = rule[0]
    kind, window, rate, downside = of["kind"], of["window"], of["rate"], of["downside"] != 0
    floor = FLOOR * of["unit"]
    of_return, of_ratio, of_holding = of["of_return"] / of["unit"], of["of_ratio"], of["of_holding"]
    threshold, of_drawdown = of["threshold"], of["of_drawdown"] / (1.0 - of["threshold"])
    of_trades, of_spread = of["of_trades"], of["of_spread"]
    per_trade, per_bar = 1.0 / of["max_trades"], 1.0 / of["holding"]
    of_window, of_freedom = 1.0 / window, 1.0 / max(window - 1, 1)
    # Flat and unsigned, as in the replay: nothing has to be wrapped, and rows are copied at their full width.
    given, shown, own = features.ravel(), seen.ravel(), view.ravel()
    weighs, guarded = kind == Kind.SIX or kind == Kind.PORTFOLIO, len(known) > 0
    over, unknown = 0, 0
    for lane in range(lanes):
        terminated[lane] = False
        truncated[lane] = False
        soon = lane + AHEAD
        if soon < lanes:
            for j in range(0, wide, 16):
                prefetch(given, np.uint64((bar[soon] + 1) * wide + j))
        if not live[lane]:
            rewards[lane] = 0.0
            continue
        carry, account, tally, m = desk.carry[lane], desk.accounts[lane], tallies[lane], memory[lane]
        bar[lane] += 1
        t, row, worth = bar[lane], carry["row"], carry["worth"]
        lost = carry["under_way"] == 0

        held, gross, concentration, idle = 0.0, 0.0, 0.0, True
        for a in range(assets):
            s = desk.state[lane, a]
            units = s["position"]
            positions[lane, a] = units
            if units == 0.0 or lost:
                continue
            idle = False
            if weighs:
                mark = mark_close[row, a]
                size = abs(contracts[a]["multiplier"] * units * value(mark, contracts[a]["inverse"]))
                gain = units * (mark - s["entry"])
                sign = copysign(1.0, gain) if gain != 0.0 else 0.0
                held += sign * (size if assets > 1 else 1.0) * min(watch.held[lane, a] * per_bar, 1.0)
                gross += size
                concentration += size * size

        earned = worth / m["worth"] - 1.0
        if kind == Kind.LOG_RETURN:
            reward = log(max(worth / m["worth"], LEAST_LEFT))
        elif kind == Kind.DIFFERENTIAL_SHARPE:
            first, second = m["first"], m["second"]
            by_first, by_second = earned - first, earned * earned - second
            variance = max(second - first * first, floor * floor)
            reward = (second * by_first - 0.5 * first * by_second) / (variance * sqrt(variance))
            m["first"] = first + rate * by_first
            m["second"] = second + rate * by_second
        else:
            # A sum that returns enter and leave again is off by rounding, which the floor keeps from mattering.
            place = m["place"]
            if m["count"] == window:
                gone_by = ring[lane, place]
                m["total"] -= gone_by
                m["squares"] -= gone_by * gone_by if gone_by < 0.0 or not downside else 0.0
            else:
                m["count"] += 1
            ring[lane, place] = earned
            m["place"] = place + 1 if place + 1 < window else 0
            m["total"] += earned
            m["squares"] += earned * earned if earned < 0.0 or not downside else 0.0
            n = m["count"]
            ratio = 0.0
            if n > 1:
                share, of_rest = of_window, of_freedom
                if n < window:
                    share, of_rest = 1.0 / n, 1.0 / (n - 1)
                mean = m["total"] * share
                if downside:
                    variance = max(m["squares"], 0.0) * share
                else:
                    variance = max(m["squares"] - m["total"] * mean, 0.0) * of_rest
                ratio = max(-1.0, min(mean / sqrt(variance + floor * floor), 1.0))
            reward = of_return * earned + of_ratio * ratio
            if kind == Kind.SIX:
                reward -= of_drawdown * max(1.0 - worth / account["peak"] - threshold, 0.0)
                if gross > 0.0:
                    reward += of_holding * (held if assets == 1 else held / gross)
                fills = tally["fills"] - m["fills"]
                if fills > 0:
                    reward -= of_trades * min(fills * per_trade, 1.0)
                    paid = (tally["spread"] - m["spread"]) / m["worth"]
                    if paid > 0.0:
                        m["payers"] += 1
                        m["usual"] += (paid - m["usual"]) / m["payers"]
                        reward -= of_spread * paid / (paid + m["usual"])
            elif gross > 0.0:
                lever = gross / worth
                if assets > 1:
                    even = 1.0 / assets
                    crowded = max(concentration / (gross * gross) - even, 0.0) / (1.0 - even)
                    reward -= of["of_concentration"] * crowded * min(lever, 1.0)
                beyond = (lever - of["free_gross"]) / (of["most_gross"] - of["free_gross"])
                reward -= of["of_leverage"] * max(0.0, min(beyond, 1.0))
        m["worth"] = worth
        m["fills"] = tally["fills"]
        m["spread"] = tally["spread"]
        m["rewards"] += reward
        rewards[lane] = reward

        if lost or (liquidation_ends and tally["liquidations"] > 0) or (idle and account["blocked_until"] == NEVER):
            terminated[lane] = True
        elif t >= end[lane]:
            truncated[lane] = True
        if terminated[lane] or truncated[lane]:
            carry["under_way"] = 0
            over += 1
        source, target = np.uint64(t * wide), np.uint64(lane * (wide + narrow))
        for j in range(np.uint64(wide)):
            shown[target + j] = given[source + j]
        source, target = np.uint64(lane * narrow), target + np.uint64(wide)
        for j in range(np.uint64(narrow)):
            shown[target + j] = own[source + j]
        if lost:
            for j in range(narrow):
                seen[lane, wide + j] = gone[j]
        if guarded:
            for a in range(assets):
                blind[lane, a] = not known[t, a]
                unknown += 1 if blind[lane, a] else 0
        books[lane, 0] = worth
        books[lane, 1] = tally["fees"]
        books[lane, 2] = tally["spread"]
        books[lane, 3] = tally["impact"]
        books[lane, 4] = tally["funding"]
        books[lane, 5] = tally["liquidation"]
    return over, unknown
