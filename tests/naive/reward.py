"""Rewards once more, slowly and from their definitions, out of what a ledger says: it imports nothing from wfbt.

An account of linear contracts with a multiplier of 1.  `equity` (T,), `position` and `mark` (T, A) are at closes;
`fills` are (row, asset, qty, price, spread paid) in the order in which they happened.  Reward t is that of the step
from close t to close t + 1.
"""

from math import fsum, log, sqrt


def ratio_of(window, downside, unit):
    """Mean over deviation, which a hundredth of the unit is added to in squares; cut to −1..1."""
    if len(window) < 2:
        return 0.0
    mean = fsum(window) / len(window)
    if downside:
        variance = fsum(min(r, 0.0) ** 2 for r in window) / len(window)
    else:
        variance = fsum((r - mean) ** 2 for r in window) / (len(window) - 1)
    return max(-1.0, min(1.0, mean / sqrt(variance + (0.01 * unit) ** 2)))


def entries(position, fills):
    """Average entry of each asset at each close: what increases a position is averaged in, a reversal begins anew."""
    assets = len(position[0])
    held, entry, table = [0.0] * assets, [0.0] * assets, []
    for row in range(len(position)):
        for at, a, qty, price, _ in fills:
            if at != row:
                continue
            after = held[a] + qty
            if held[a] * qty >= 0:
                entry[a] = (entry[a] * abs(held[a]) + price * abs(qty)) / abs(after)
            elif after * held[a] < 0 and abs(after) > 1e-9:
                entry[a] = price
            held[a] = after if abs(after) > 1e-9 else 0.0
        table.append(list(entry))
    return table


def bars_held(position, row, a):
    """Closes in a row, up to this one, at which the position has had its sign."""

    def sign(x):
        return (x > 0) - (x < 0)

    count = 0
    while row - count >= 0 and sign(position[row - count][a]) == sign(position[row][a]) != 0:
        count += 1
    return count


def returns(equity):
    return [equity[t + 1] / equity[t] - 1.0 for t in range(len(equity) - 1)]


def six(equity, position, mark, fills, *, weights, downside, unit, window, threshold, max_trades, reference):
    out, gains, paid_before, average = [], returns(equity), [], entries(position, fills)
    for t, r in enumerate(gains):
        row = t + 1
        drawdown = 1.0 - equity[row] / max(equity[: row + 1])
        own = [fill for fill in fills if fill[0] == row]
        spread = fsum(fill[4] for fill in own) / equity[t]
        dear = 0.0
        if spread > 0.0:
            paid_before.append(spread)
            q = spread / (fsum(paid_before) / len(paid_before))
            dear = q / (1.0 + q)
        values = [abs(p * m) for p, m in zip(position[row], mark[row], strict=True)]
        winning = 0.0
        for a, value in enumerate(values):
            if value > 0.0:
                gain = position[row][a] * (mark[row][a] - average[row][a])
                winning += (
                    value / fsum(values) * min(bars_held(position, row, a) / reference, 1.0) * ((gain > 0) - (gain < 0))
                )
        parts = [
            r / unit,
            ratio_of(gains[max(0, t + 1 - window) : t + 1], downside, unit),
            -max(drawdown - threshold, 0.0) / (1.0 - threshold),
            -min(len(own) / max_trades, 1.0),
            winning,
            -dear,
        ]
        out.append(fsum(w * part for w, part in zip(weights, parts, strict=True)))
    return out


def portfolio(equity, position, mark, *, weights, free, most, unit, window):
    out, gains = [], returns(equity)
    for t, r in enumerate(gains):
        values = [abs(p * m) for p, m in zip(position[t + 1], mark[t + 1], strict=True)]
        whole, assets = fsum(values), len(values)
        gross = whole / equity[t + 1]
        crowded = 0.0
        if whole > 0.0 and assets > 1:
            herfindahl = fsum((value / whole) ** 2 for value in values)
            crowded = max(herfindahl - 1.0 / assets, 0.0) / (1.0 - 1.0 / assets) * min(gross, 1.0)
        lever = max(0.0, min(1.0, (gross - free) / (most - free)))
        parts = [r / unit, ratio_of(gains[max(0, t + 1 - window) : t + 1], False, unit), -crowded, -lever]
        out.append(fsum(w * part for w, part in zip(weights, parts, strict=True)))
    return out


def differential_sharpe(gains, rate, unit):
    """Of returns, as the paper writes it."""
    out, first, second = [], 0.0, 0.0
    for r in gains:
        change, change_of_squares = r - first, r * r - second
        variance = max(second - first**2, (0.01 * unit) ** 2)
        out.append((second * change - 0.5 * first * change_of_squares) / variance**1.5)
        first, second = first + rate * change, second + rate * change_of_squares
    return out


def log_return(equity):
    return [log(equity[t + 1] / equity[t]) for t in range(len(equity) - 1)]
