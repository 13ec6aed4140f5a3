"""What trades say of bars, a bar at a time and every trade looked at for each."""

import math

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE


def bar_of_trades(trades, open_ts, close_ts, until):
    """The numbers of one bar from (ts, price, qty, side) tuples; None where they are not known."""
    out = dict.fromkeys(("buys", "sells", "bought", "sold", "value", "dispersion"))
    known = bool(trades) and trades[0][0] <= open_ts and close_ts <= until
    own = [one for one in trades if open_ts <= one[0] < close_ts]
    if known:
        out["buys"] = sum(1 for one in own if one[3] == 1)
        out["sells"] = sum(1 for one in own if one[3] == -1)
        out["bought"] = math.fsum(one[2] for one in own if one[3] == 1)
        out["sold"] = math.fsum(one[2] for one in own if one[3] == -1)
        out["value"] = math.fsum(one[1] * one[2] for one in own)
        if len(own) >= 2:
            sizes = [one[2] for one in own]
            mean = math.fsum(sizes) / len(sizes)
            out["dispersion"] = math.sqrt(math.fsum((x - mean) ** 2 for x in sizes) / (len(sizes) - 1)) / mean
    for minutes in (1, 5, 15):
        earlier = [one for one in trades if one[0] < close_ts - minutes * MINUTE]
        within = [one for one in trades if close_ts - minutes * MINUTE <= one[0] < close_ts]
        out[f"change_{minutes}m"] = math.log(within[-1][1] / earlier[-1][1]) if earlier and within else None
    return out


def bars_of_trades(trades, bars, until):
    """A dict of numbers for each (open, close) of `bars`, all of one length, with the units that large trades moved."""
    out = [bar_of_trades(trades, open_ts, close_ts, until) for open_ts, close_ts in bars]
    rows = max(math.ceil(DAY / (bars[0][1] - bars[0][0])), 1)
    for t, (open_ts, close_ts) in enumerate(bars):
        before = [one for one in out[max(t - rows, 0) : t] if one["buys"] is not None]
        count = sum(one["buys"] + one["sells"] for one in before)
        out[t]["large"] = None
        if count and out[t]["buys"] is not None:
            usual = math.fsum(one["bought"] + one["sold"] for one in before) / count
            own = [one for one in trades if open_ts <= one[0] < close_ts]
            out[t]["large"] = math.fsum(one[2] for one in own if one[2] > 5 * usual)
    return out
