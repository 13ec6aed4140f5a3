"""What is wrong with market data, by symbol, row, time and rule.  Values are judged, never names; nothing is mended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wfbt.data import week
from wfbt.data.findings import Finding, Mask, Report, Stamps, duration, runs
from wfbt.data.market import DAY, F8, HOUR, I8, MINUTE
from wfbt.data.store import BARS, TRADE_IDS, TRADES, Raw, stamp

PRICES = BARS[:4]
PAID = TRADES[:2]
SNAP = 100_000_000  # ns: how far from a round minute an exchange may stamp a settlement

SPIKE = 20.0  # robust σ
SPIKE_WINDOW = 100  # trailing bars
SPIKE_LEAST = 20  # moves that the window must hold
REVERTED = 0.5  # of the move may remain after the next bar
# A move at an annual volatility of 1000 %: 1.4 % in a minute, 11 % in an hour.  Crashes have a few; thin coins of 2017
# reached 0.8 % of their minutes.
IMPLAUSIBLE = 10.0
HABITUAL = 0.02  # share of the bars
YEAR = 365 * DAY
SCALE_BLOCK = 168  # bars
SESSION_WEEKS = 4


def check_bars(raw: Raw, symbol: str, now: int, max_missing: float = 0.05, *, has_volume: bool = True) -> list[Finding]:
    """Everything wrong with bars: errors first, each in row order.

    `now` is ns UTC.  Mark prices have no volume by construction: `has_volume` False asks nothing of it.
    """
    report = Report(raw, symbol)
    finite = np.isfinite(raw.columns["volume"])
    positive = np.ones(len(raw), dtype=bool)
    for name in PRICES:
        finite &= np.isfinite(raw[name])
        positive &= ~(raw[name] <= 0)
    report.rows("nan", ~finite, lambda i: "not a number: " + _named(raw, i, lambda x: ~np.isfinite(x)))
    report.rows("non_positive", ~positive, lambda i: "prices must be > 0: " + _named(raw, i, lambda x: x <= 0, PRICES))
    body_low, body_high = np.minimum(raw["open"], raw["close"]), np.maximum(raw["open"], raw["close"])
    ordered = (raw["low"] <= body_low) & (body_high <= raw["high"])
    report.rows(
        "ohlc",
        finite & positive & ~ordered,
        lambda i: "needs low <= open, close <= high: " + _named(raw, i, np.isfinite, PRICES),
    )
    report.rows("negative_volume", raw["volume"] < 0, lambda i: f"volume must be >= 0, was {raw['volume'][i]:g}")
    first = _check_order(report, now)
    stamps = report.at(first)
    period = modal_step(stamps.ts)
    if period:
        _check_grid(report, first, period)
        _check_missing(report, stamps, period, max_missing)
    if has_volume:
        _check_zero_volume(report)
    sound = first[(finite & positive & ordered & (raw["volume"] >= 0))[first]]
    if period and len(sound) > 2:
        _check_prices(report, sound, period)
        _check_sessions(report, stamps, period)
        if has_volume:
            _check_volume_scale(report, sound)
    return report.sorted()


def check_funding(raw: Raw, symbol: str, now: int, max_missing: float = 0.05) -> list[Finding]:
    """Everything wrong with funding settlements: errors first, each in row order."""
    report = Report(raw, symbol)
    report.rows("nan", ~np.isfinite(raw["rate"]), lambda i: "rate is not a number")
    if "mark_price" in raw.columns:
        mark = raw["mark_price"]
        report.rows("non_positive", mark <= 0, lambda i: f"mark_price must be > 0 or empty, was {mark[i]:g}")
        report.rows("nan", np.isinf(mark), lambda i: "mark_price is infinite")
    first = _check_order(report, now)
    ts = snap(raw.ts[first])[0]
    period = modal_step(ts)
    if period:
        on_time = report.at(first, ts)
        _check_missing(report, on_time, period, max_missing)
        # Where a venue settles more often for a while the shorter interval is the grid.
        steps = np.diff(ts)
        near = np.minimum(np.r_[steps, period], np.r_[period, steps])
        finer = (near >= HOUR) & (near < period) & (period % np.maximum(near, 1) == 0) & (ts % np.maximum(near, 1) == 0)
        off = np.zeros(len(raw), dtype=bool)
        off[first] = (ts % period != 0) & ~finer
        report.rows(
            "funding_grid",
            off,
            lambda i: f"settlements every {duration(period)} fall on multiples of it in UTC; this one does not",
        )
    return report.sorted()


def check_series(raw: Raw, name: str, now: int) -> list[Finding]:
    """Everything wrong with an exogenous series: errors first, each in row order.

    Rows out of order or of a stamp that comes again are how files of news look; they are told, and mended on reading.
    """
    report = Report(raw, name)
    report.rows("future", raw.ts > now, lambda i: f"later than now ({stamp(now // 10**9 * 10**9)})")
    infinite = np.zeros(len(raw), dtype=bool)
    for values in raw.columns.values():
        infinite |= np.isinf(values)
    report.rows("nan", infinite, lambda i: "infinite: " + _named(raw, i, np.isinf, tuple(raw.columns)))
    turned = np.flatnonzero(np.diff(raw.ts) < 0)
    if turned.size:
        words = (
            "1 row stands before an earlier one" if turned.size == 1 else f"{turned.size:,} rows are not in time order"
        )
        report.add("unsorted", int(turned[0]) + 1, turned.size, f"{words}; sorted on reading")
    again = _repeats(raw, ())[0]
    if count := int(np.count_nonzero(again)):
        words = "1 row has a stamp" if count == 1 else f"{count:,} rows have stamps"
        report.add(
            "restated", int(np.argmax(again)), count, f"{words} that an earlier row has; of each the last one counts"
        )
    return report.sorted()


def check_trades(raw: Raw, symbol: str, now: int) -> list[Finding]:
    """Everything wrong with single trades: errors first, each in row order.

    Trades may share a stamp, and two that are alike in all else may be two: only an id that comes again is a duplicate.
    """
    report = Report(raw, symbol)
    finite = np.isfinite(raw["price"]) & np.isfinite(raw["qty"])
    report.rows("nan", ~finite, lambda i: "not a number: " + _named(raw, i, lambda x: ~np.isfinite(x), PAID))
    positive = (raw["price"] > 0) & (raw["qty"] > 0)
    report.rows(
        "non_positive",
        finite & ~positive,
        lambda i: "price and qty must be > 0: " + _named(raw, i, lambda x: x <= 0, PAID),
    )
    side = raw["side"]
    report.rows("side", ~(np.abs(side) == 1), lambda i: f"side is 1 or -1, the aggressor's; was {side[i]:g}")
    report.rows("future", raw.ts > now, lambda i: f"later than now ({stamp(now // 10**9 * 10**9)})")
    again, exact, original = _id_repeats(raw)
    for mask, words in ((again & exact, "the same values"), (again & ~exact, "other values")):
        report.rows(
            "duplicates",
            mask,
            lambda i, words=words: f"repeats the id of row {raw.row[original[i]]} with {words}",  # type: ignore[misc]
        )
    steps = np.diff(raw.ts)
    back = np.r_[False, steps < 0]
    if (descents := int(np.count_nonzero(back))) and descents >= 0.9 * np.count_nonzero(steps) and descents > 1:
        report.add("disorder", 0, len(raw), "the file is newest first; time must run forward")
    else:
        report.rows("disorder", back, lambda i: "earlier than the row before it")
    return report.sorted()


def repeated_trades(raw: Raw) -> Mask:
    """(K,) bool: trades whose id an earlier one has, with the same values."""
    again, exact, _ = _id_repeats(raw)
    return again & exact


def _id_repeats(raw: Raw) -> tuple[Mask, Mask, I8]:
    """Trades whose id an earlier one has, those alike in all else too, and which trade that is."""
    itself = np.arange(len(raw))
    ids = next((raw[name] for name in TRADE_IDS if name in raw.columns), None)
    # Float64 cannot tell larger ids apart: neighbours would look like one.
    if ids is None or not (np.abs(ids) < 2**53).all() or (np.diff(ids) > 0).all():
        return np.zeros(len(raw), np.bool_), np.ones(len(raw), np.bool_), itself
    order = np.argsort(ids, kind="stable")
    fresh = np.r_[True, np.diff(ids[order]) > 0]
    original = np.empty(len(raw), dtype=np.int64)
    original[order] = order[np.maximum.accumulate(np.where(fresh, itself, 0))]
    exact = raw.ts == raw.ts[original]
    for name in TRADES:
        exact &= raw[name] == raw[name][original]
    return original != itself, exact, original


def compare_trades(bars: Raw, trades: Raw, symbol: str) -> list[Finding]:
    """Bars in which a trade was made outside their low and high: two sources, or two units, of one market.

    Both in order.  Only bars between the first trade and the last are looked at.
    """
    period = modal_step(bars.ts)
    begin, end = np.searchsorted(trades.ts, [bars.ts, bars.ts + period])
    rows = np.flatnonzero(end > begin)
    report = Report(bars, symbol)
    if not rows.size:
        return []
    ends = np.column_stack([begin[rows], end[rows]]).ravel()
    padded = np.append(trades["price"], np.nan)
    most, least = np.maximum.reduceat(padded, ends)[::2], np.minimum.reduceat(padded, ends)[::2]
    outside = np.zeros(len(bars), np.bool_)
    outside[rows] = (most > bars["high"][rows] * (1 + 1e-9)) | (least < bars["low"][rows] * (1 - 1e-9))
    report.rows("disagree", outside, lambda i: f"trades of {trades.path} were made outside the bar's low and high")
    return report.sorted()


def snap(ts: I8) -> tuple[I8, int]:
    """Stamps within 100 ms of a round minute moved to it, and how many were moved."""
    minute = (ts + MINUTE // 2) // MINUTE * MINUTE
    off = np.abs(ts - minute)
    near = off <= SNAP
    return np.where(near, minute, ts), int(np.count_nonzero(near & (off > 0)))


def modal_step(ts: I8) -> int:
    """The commonest step of increasing stamps in ns; 0 for fewer than two."""
    if len(ts) < 2:
        return 0
    steps, counts = np.unique(np.diff(ts), return_counts=True)
    return int(steps[np.argmax(counts)])


def compare_bars(coarse: Raw, fine: Raw, symbol: str, *, tolerance: float = 1e-6) -> list[Finding]:
    """Where two sources of one market disagree: stamps of `coarse` at which `fine`, resampled to it, says otherwise.

    Both in order and without duplicates; equal periods compare row by row, a finer one is gathered over complete bars
    of the coarser.  Rows are those of `coarse`; `tolerance` is relative, for prices and volume alike.
    """
    long, short = modal_step(coarse.ts), modal_step(fine.ts)
    if not short or not long or long % short:
        return []
    each = long // short
    left = np.searchsorted(fine.ts, coarse.ts)
    complete = np.flatnonzero(np.searchsorted(fine.ts, coarse.ts + long) - left == each)
    if not complete.size:
        return []
    block = left[complete][:, None] + np.arange(each)
    said = {
        "open": fine["open"][block[:, 0]],
        "high": fine["high"][block].max(axis=1),
        "low": fine["low"][block].min(axis=1),
        "close": fine["close"][block[:, -1]],
        "volume": fine["volume"][block].sum(axis=1),
    }
    report = Report(coarse, symbol)
    differs = {}
    for name, other in said.items():
        own = coarse[name][complete]
        mask = np.zeros(len(coarse), dtype=bool)
        mask[complete] = np.abs(own - other) > tolerance * np.maximum(np.abs(own), np.abs(other))
        differs[name] = mask
    report.rows(
        "disagree",
        np.logical_or.reduce(list(differs.values())),
        lambda i: (
            f"{duration(short)} bars of {fine.path} say otherwise: "
            + ", ".join(name for name, mask in differs.items() if mask[i])
        ),
    )
    return report.sorted()


def _named(raw: Raw, i: int, bad: Callable[[F8], Mask], names: tuple[str, ...] = BARS) -> str:
    return ", ".join(f"{name} {raw[name][i]:.10g}" for name in names if bad(raw[name][i : i + 1])[0])


def exact_repeats(raw: Raw) -> Mask:
    """(T,) bool: rows that repeat an earlier row's stamp with the same values."""
    again, exact, _ = _repeats(raw, tuple(raw.columns))
    return again & exact


def _repeats(raw: Raw, names: tuple[str, ...]) -> tuple[Mask, Mask, I8]:
    """Rows whose stamp an earlier row has, rows with that row's values, and which row that is."""
    order = np.argsort(raw.ts, kind="stable")
    fresh = np.r_[True, np.diff(raw.ts[order]) > 0]
    original = np.empty(len(raw), dtype=np.int64)
    original[order] = order[np.maximum.accumulate(np.where(fresh, np.arange(len(raw)), 0))]
    exact = np.ones(len(raw), dtype=bool)
    for values in (raw[name] for name in names):
        exact &= (values == values[original]) | (np.isnan(values) & np.isnan(values[original]))
    return original != np.arange(len(raw)), exact, original


def _check_order(report: Report, now: int) -> I8:
    """Future stamps, duplicates and disorder; returns the rows that are left, each stamp once, in time order."""
    raw = report.raw
    report.rows("future", raw.ts > now, lambda i: f"later than now ({stamp(now // 10**9 * 10**9)})")
    # Rows from the future are wrong by themselves; they do not put the others out of order.
    past = np.flatnonzero(raw.ts <= now)
    ts = raw.ts[past]
    steps = np.diff(ts)
    if (steps > 0).all():
        return past
    order = np.argsort(ts, kind="stable")
    fresh = np.r_[True, np.diff(ts[order]) > 0]
    if not fresh.all():
        again, exact, original = _repeats(raw, tuple(raw.columns))
        for mask, words in ((again & exact, "the same values"), (again & ~exact, "other values")):
            report.rows(
                "duplicates",
                mask,
                lambda i, words=words: f"repeats row {raw.row[original[i]]} with {words}",  # type: ignore[misc]
            )
    back = np.r_[False, steps < 0]
    descents = int(np.count_nonzero(back))
    if descents > 1 and descents >= 0.9 * len(steps):
        report.add("disorder", int(past[0]), len(past), "the file is newest first; time must run forward")
    elif descents:
        moved = order != np.arange(len(ts))
        # Two rows that changed places are both named; where a block moved, the row at which time turns back is.
        swapped = np.count_nonzero(moved) <= 2 * descents
        bad = np.zeros(len(raw), dtype=bool)
        bad[past[moved if swapped else back]] = True
        words = "out of time order" if swapped else "earlier than the row before it"
        report.rows("disorder", bad, lambda i: words)
    return past[order[fresh]]


def _check_grid(report: Report, first: I8, period: int) -> None:
    ts = report.raw.ts[first]
    short = np.diff(ts) < period
    if not short.any():
        return
    places, counts = np.unique(ts % period, return_counts=True)
    off = np.zeros(len(report.raw), dtype=bool)
    off[first] = (np.r_[short, False] | np.r_[False, short]) & (ts % period != places[np.argmax(counts)])
    report.rows("off_grid", off, lambda i: f"opens before its neighbour has closed; bars are {duration(period)} apart")


def _check_missing(report: Report, stamps: Stamps, period: int, max_missing: float) -> None:
    ts = stamps.ts
    pattern = week.learn(ts, period)
    wide = np.flatnonzero(np.diff(ts) > period)
    absent = pattern.absent(ts[wide], ts[wide + 1])
    for at, count in zip(wide[absent > 0].tolist(), absent[absent > 0].tolist(), strict=True):
        report.add(
            "gap", stamps.index[at + 1], count, f"{count:,} bar{'' if count == 1 else 's'} absent since {stamp(ts[at])}"
        )
    expected = pattern.expected(ts)
    missing = expected - pattern.present(ts)
    if missing > max_missing * expected and absent.size:
        widest = int(np.argmax(absent))
        report.add(
            "missing",
            stamps.index[wide[widest] + 1],
            missing,
            f"{missing / expected:.1%} missing ({missing:,} of {expected:,} bars of its own weekly pattern), "
            f"allowed {max_missing:.1%}; the widest hole, {absent[widest]:,} bars, ends here",
        )


def _check_zero_volume(report: Report) -> None:
    zero = report.raw["volume"] == 0
    words = "on every bar: impact needs an explicit adv" if zero.all() else "nothing traded"
    report.rows("zero_volume", zero, lambda i: f"volume is 0: {words}")


def _check_prices(report: Report, sound: I8, period: int) -> None:
    """Stale, spiking and implausible closes of sound bars in time order."""
    raw = report.raw
    open_, high, low, close = (raw[name][sound] for name in PRICES)
    flat = (open_ == high) & (high == low) & (low == close)
    flat &= np.r_[False, close[1:] == close[:-1]]
    least = min(max(DAY // period, 5), 30)
    if flat.any():
        for start, end in runs(flat):
            if end - start >= least:
                span = duration((end - start) * period)
                report.add("stale", sound[start], end - start, f"price stands at {close[start]:.10g} for {span}")
    moves = np.diff(np.log(close))
    for at in _spikes(moves).tolist():
        report.add(
            "spike", sound[at + 1], 1, f"close {close[at + 1]:.10g} between {close[at]:.10g} and {close[at + 2]:.10g}"
        )
    steady = np.diff(raw.ts[sound]) == period
    wild = steady & (np.abs(moves) > IMPLAUSIBLE * np.sqrt(period / YEAR))
    count = int(np.count_nonzero(wild))
    if count > HABITUAL * len(moves) and count >= 10:
        report.add(
            "implausible",
            sound[int(np.argmax(wild)) + 1],
            count,
            f"{count / len(moves):.1%} of the bars move by more than {IMPLAUSIBLE * np.sqrt(period / YEAR):.2%} "
            f"in {duration(period)}; no market does: another venue, a test network, or another unit",
        )


def _spikes(moves: F8) -> I8:
    """Indices of moves beyond SPIKE trailing robust σ that the next bar takes back.

    σ is 1.4826 times the median absolute value of the moves of the trailing window that are not zero, so that bars
    without a trade do not make the next trade a spike.
    """
    size = np.abs(moves)
    taken_back = np.abs(moves[:-1] + moves[1:]) <= REVERTED * size[:-1]
    typical = np.median(size[size > 0]) if size.any() else 0.0
    # A trailing mean of clipped moves is cheap and never above ten medians where it matters: it leaves few to look at.
    total = np.r_[0.0, np.cumsum(np.minimum(size, 10 * typical))]
    index = np.arange(len(size))
    begin = np.maximum(index - SPIKE_WINDOW, 0)
    mean = (total[index] - total[begin]) / np.maximum(index - begin, 1)
    at: I8 = np.flatnonzero(np.r_[taken_back, False] & (size > 2 * mean) & (size > 0) & (index >= SPIKE_LEAST))
    if not at.size:
        return at
    window = at[:, None] - 1 - np.arange(SPIKE_WINDOW)
    trailing = np.where(window >= 0, size[np.maximum(window, 0)], 0.0)
    trailing[trailing == 0] = np.inf
    trailing.sort(axis=1)
    held = np.count_nonzero(np.isfinite(trailing), axis=1)
    lower, upper = np.maximum(held - 1, 0) // 2, np.minimum(held // 2, SPIKE_WINDOW - 1)
    lines = np.arange(len(at))
    enough = held >= SPIKE_LEAST
    sigma = np.full(len(at), np.inf)
    sigma[enough] = 1.4826 * (trailing[lines, lower][enough] + trailing[lines, upper][enough]) / 2
    return at[size[at] > SPIKE * sigma]


def _check_volume_scale(report: Report, sound: I8) -> None:
    """Volume that changes its unit: base for quote, or lots for units."""
    raw = report.raw
    volume, close = raw["volume"][sound], raw["close"][sound]
    if "quote_volume" in raw.columns:
        quote = raw["quote_volume"][sound]
        traded = (volume > 0) & (quote > 0)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            turned = traded & (np.abs(np.log(volume / quote / close)) < np.log(1.5))
        # Where a unit costs about one quote unit both columns are alike, swapped or not.
        turned &= np.abs(np.log(close)) > np.log(3)
        if turned.any():
            count, at = int(np.count_nonzero(turned)), int(np.argmax(turned))
            last = stamp(raw.ts[sound[np.flatnonzero(turned)[-1]]])
            report.add(
                "volume_scale",
                sound[at],
                count,
                f"volume and quote_volume are swapped on {count:,} of {len(sound):,} bars, the last at {last}",
            )
        return
    nonzero = np.flatnonzero(volume > 0)
    blocks = len(nonzero) // SCALE_BLOCK
    if blocks < 4:
        return
    size = np.log(volume[nonzero])
    level = np.median(size[: blocks * SCALE_BLOCK].reshape(blocks, SCALE_BLOCK), axis=1)
    leap = level[2:] - level[:-2]
    block = int(np.argmax(np.abs(leap)))
    # The row inside the three blocks that best splits them into two levels.
    begin = block * SCALE_BLOCK
    part = size[begin : begin + 3 * SCALE_BLOCK]
    left, n = np.cumsum(part)[:-1], np.arange(1, len(part))
    apart = np.abs(left / n - (part.sum() - left) / (len(part) - n)) * np.sqrt(n * (len(part) - n))
    at = sound[nonzero[begin + int(np.argmax(apart)) + 1]]
    # A busy week is no change of unit: the level has to stay.
    by = abs(float(np.median(level[block + 2 : block + 10]) - np.median(level[max(block - 7, 0) : block + 1])))
    price = abs(float(np.log(raw["close"][at])))
    if by > np.log(1000) or (by > np.log(200) and abs(by - price) < np.log(3)):
        report.add(
            "volume_scale", at, 1, f"typical volume changes by a factor of {np.exp(by):,.0f} here and stays there"
        )


def _check_sessions(report: Report, stamps: Stamps, period: int) -> None:
    """Weekly pauses at hours that are impossible in UTC.

    A market that trades round the clock on weekdays pauses from Friday to Sunday at New York's 17:00 or 18:00, which is
    21:00 to 23:00 UTC.  Fixed UTC hours of other markets are not judged.
    """
    ts = stamps.ts
    if period > HOUR:
        return
    pauses = np.flatnonzero((np.diff(ts) >= 40 * HOUR) & (np.diff(ts) <= 80 * HOUR))
    bars_before = pauses - np.searchsorted(ts, ts[pauses] - DAY)
    pauses = pauses[bars_before * period >= 0.75 * DAY]
    if len(pauses) < SESSION_WEEKS:
        return
    closes = (ts[pauses] + period + week.MONDAY) % week.WEEK
    opens = (ts[pauses + 1] + week.MONDAY) % week.WEEK
    shifted = (closes > 4 * DAY + 22.5 * HOUR) | (opens < 6 * DAY + 20 * HOUR)
    if (count := int(np.count_nonzero(shifted))) > 0.5 * len(pauses):
        at = int(pauses[np.argmax(shifted)])
        report.add(
            "session_shift",
            stamps.index[at + 1],
            count,
            f"{count} of {len(pauses)} weeks pause from {_weekday(int(np.median(closes)))} to "
            f"{_weekday(int(np.median(opens)))}; "
            "in UTC a market that trades round the clock closes on Friday by 22:00 and opens on Sunday: "
            "the stamps are in another zone",
        )


def _weekday(ns: int) -> str:
    days, rest = divmod(ns, DAY)
    return (
        f"{('Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun')[days % 7]} {rest // HOUR:02d}:{rest % HOUR // MINUTE:02d}"
    )
