"""A small account, told in plain words: what it holds as a share of what it should hold."""


def replay(returns, exposure, capital, min_order, fixed_cost, leverage, ruin):
    """(periods until ruin or None, final equity, orders made, orders missed, exposure wanted, exposure not had)."""
    equity = capital
    notional = 0.0  # unsigned, with its side beside it
    side = 0
    made = missed = 0
    wanted = lacked = 0.0
    for number, (earned, weight) in enumerate(zip(returns, exposure, strict=True), start=1):
        wanted_side = (weight > 0) - (weight < 0)
        should = min(abs(weight), leverage) * equity
        if side and side != wanted_side:
            made += 1
            notional, side = 0.0, 0
        if not wanted_side:
            profit = equity * earned
        else:
            lacking = should - notional
            if lacking < 0:
                made += 1
                notional = should
            elif lacking > 0 and lacking >= min_order:
                made += 1
                notional, side = should, wanted_side
            elif lacking > 0:
                missed += 1
            wanted += should / equity
            lacked += should / equity - notional / equity
            share = notional / (abs(weight) * equity)  # of the strategy's own position
            profit = share * earned * equity
            # A position grows with its price: upwards on the long side when the strategy earns.
            notional += wanted_side * (share * earned * equity)
            if notional < 0:
                notional, side = -notional, -side
            if notional == 0:
                side = 0
        equity = equity + profit - fixed_cost
        if equity <= capital * (1 - ruin):
            return number, max(equity, 0.0), made, missed, wanted, lacked
    return None, equity, made, missed, wanted, lacked
