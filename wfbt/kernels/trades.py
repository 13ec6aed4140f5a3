"""Single trades gathered by bar, in one pass over both."""

from enum import IntEnum
from math import log, sqrt

from wfbt.kernels._jit import njit


class Of(IntEnum):
    """Rows of what is gathered: one number a bar each."""

    BUYS = 0
    SELLS = 1
    BOUGHT = 2
    SOLD = 3
    VALUE = 4
    DISPERSION = 5
    CHANGE = 6  # and one more for each further window


@njit
def gather_trades(out, ts, price, qty, side, until, open_ts, close_ts, windows, back):
    """Fill `out` (6 + W, T) with what (K,) trades say of T bars, from trades before each bar's close alone.

    A bar that opens before the first trade or closes after `until` (ns) is left as it is, but for changes of price.
    The W changes are log(last price / last price of a trade before close − window), where a trade was made in the
    window (ns) and one before it.  `back` (W,) is scratch, of zeros.
    """
    trades, i = len(ts), 0
    for t in range(len(open_ts)):
        while i < trades and ts[i] < open_ts[t]:
            i += 1
        begin = i
        buys, sells, bought, sold, value = 0.0, 0.0, 0.0, 0.0, 0.0
        while i < trades and ts[i] < close_ts[t]:
            if side[i] > 0:
                buys += 1.0
                bought += qty[i]
            else:
                sells += 1.0
                sold += qty[i]
            value += price[i] * qty[i]
            i += 1
        if trades > 0 and open_ts[t] >= ts[0] and close_ts[t] <= until:
            out[Of.BUYS, t], out[Of.SELLS, t] = buys, sells
            out[Of.BOUGHT, t], out[Of.SOLD, t], out[Of.VALUE, t] = bought, sold, value
            count = i - begin
            if count > 1:
                # Twice over the bar's own trades: a difference of sums would lose the deviation of large, equal sizes.
                mean, squares = (bought + sold) / count, 0.0
                for j in range(begin, i):
                    squares += (qty[j] - mean) * (qty[j] - mean)
                out[Of.DISPERSION, t] = sqrt(squares / (count - 1)) / mean
        for w in range(len(windows)):
            j = back[w]
            while j < trades and ts[j] < close_ts[t] - windows[w]:
                j += 1
            back[w] = j
            if 0 < j < i:
                out[Of.CHANGE + w, t] = log(price[i - 1] / price[j - 1])


@njit
def sum_large(out, ts, qty, open_ts, close_ts, above):
    """Fill `out` (T,) with the units that trades larger than `above` (T,) moved in each bar; NaN where that is NaN."""
    trades, i = len(ts), 0
    for t in range(len(open_ts)):
        while i < trades and ts[i] < open_ts[t]:
            i += 1
        total = 0.0
        while i < trades and ts[i] < close_ts[t]:
            if qty[i] > above[t]:
                total += qty[i]
            i += 1
        if above[t] == above[t]:
            out[t] = total
