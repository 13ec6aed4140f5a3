"""A small account that follows a strategy whose orders it cannot always afford."""

from math import copysign

from wfbt.kernels._jit import njit

NEVER = 2**63 - 1


@njit
def replay_capitals(
    returns, exposure, capital, min_order, fixed_cost, leverage, ruin, ruined_at, final, made, skipped, wanting, missing
):
    """Replay every path with every capital.

    Parameters
    ----------
    returns, exposure : (P, S) float64
        Return of the strategy on its own equity in each period, and the signed notional over equity that earned it.
    capital : (C,) float64
        Equity at the start, quote.
    min_order, fixed_cost : float
        Smallest order that opens or adds, quote; cost of each period, quote.
    leverage : float
        Most notional over equity when an order is made.
    ruin : float
        Fraction of the capital whose loss at a period's end is ruin; an account ends there.
    ruined_at, made, skipped : (C, P) int64, out
        Periods until ruin, NEVER without; orders made, and orders too small to be made.
    wanting, missing : (C, P) float64, out
        Notional over equity that was to be held, summed over periods, and what of it was not for want of an order.
    final : (C, P) float64, out
        Equity at the end or at ruin, not below 0.
    """
    steps = returns.shape[1]
    for c in range(len(capital)):
        level = (1.0 - ruin) * capital[c]
        for p in range(len(returns)):
            equity, held, orders, missed = capital[c], 0.0, 0, 0
            asked, lacked = 0.0, 0.0
            when = NEVER
            for t in range(steps):
                wanted = exposure[p, t]
                if wanted == 0.0:
                    orders += held != 0.0
                    held = 0.0
                    equity += returns[p, t] * equity - fixed_cost
                else:
                    goal = copysign(min(abs(wanted), leverage), wanted) * equity
                    if held * goal < 0.0:
                        held = 0.0
                        orders += 1
                    if abs(held) >= abs(goal):
                        # Venues exempt what reduces: nobody is kept in a position for being small.
                        orders += held != goal
                        held = goal
                    elif abs(goal - held) >= min_order:
                        held = goal
                        orders += 1
                    else:
                        missed += 1
                    asked += abs(goal) / equity
                    lacked += (abs(goal) - abs(held)) / equity
                    gain = held * (returns[p, t] / wanted)
                    held += gain
                    equity += gain - fixed_cost
                if equity <= level:
                    when = t + 1
                    break
            ruined_at[c, p] = when
            final[c, p] = max(equity, 0.0)
            made[c, p] = orders
            skipped[c, p] = missed
            wanting[c, p] = asked
            missing[c, p] = lacked
