"""Small markets written by hand: rows in milliseconds, requests by the millisecond of their decision."""

from __future__ import annotations

from tests.book.twin import Clock, Delays, Feed, Terms, Venue, replay

MS = 1_000_000
KINDS = {
    "bid": (0, 1),
    "ask": (0, -1),
    "buy": (1, 1),
    "sell": (1, -1),
    "clear": (2, 0),
    "clear bids": (2, 1),
    "clear asks": (2, -1),
}


def feed(rows, delay=1):
    """Rows (ms, what, tick, lots), what of KINDS, received `delay` ms later; a fifth number is a row's own delay."""
    wide = [(*row, 0, 0)[:4] + ((row[4],) if len(row) > 4 else (delay,)) for row in rows]
    wide.sort(key=lambda row: row[0] + row[4])
    return Feed(
        exch_ts=[round(ms * MS) for ms, *_ in wide],
        local_ts=[round((row[0] + row[4]) * MS) for row in wide],
        kind=[KINDS[row[1]][0] for row in wide],
        side=[KINDS[row[1]][1] for row in wide],
        tick=[row[2] for row in wide],
        lots=[row[3] for row in wide],
    )


def play(rows, script=None, delay=1, entry=0, response=0, terms=None, until=100, period=1, **venue):
    """Replay one symbol, ticks and lots of size 1; `script` has, by ms, the requests (method, *arguments) to make."""
    script = script or {}
    settings = {
        "tick_size": 1.0,
        "lot_size": 1.0,
        "entry": entry if isinstance(entry, Delays) else Delays.constant(entry * MS),
        "response": response if isinstance(response, Delays) else Delays.constant(response * MS),
        "queue": "risk_averse",
    } | venue
    sent = []

    def decide(view):
        for method, *arguments in script.get(view.now // MS, ()):
            sent.append(getattr(view[0], method)(*arguments))

    run = replay(
        [feed([*rows, (until, "bid", 1, 1)], delay)],
        [Venue(**settings)],
        decide,
        Clock(period * MS, 0),
        Terms(**(terms or {})),
    )
    run.sent = sent
    return run


def fills(run):
    """(ms, id, side, tick, lots) of each fill."""
    return [(f.exch_ts / MS, f.id, f.side, f.tick, f.lots) for f in run.fills]


BOOK = [(0, "bid", 99, 10), (0, "bid", 98, 10), (0, "ask", 101, 3), (0, "ask", 102, 4), (0, "ask", 103, 5)]
"""99 and 98 bid for 10 lots each; 3, 4 and 5 lots asked at 101, 102, 103."""
