"""Replay order books against a compiled policy: the front of `wfbt.kernels.book`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba.core.errors import NumbaError

from wfbt.engine.book_events import BookEvents, Window, joined
from wfbt.engine.book_venue import QUEUES, Asking, BookAccount, BookModel, BookVenue
from wfbt.errors import ConfigError, DataError, PolicyError
from wfbt.kernels.book import replay_book as replay_kernel
from wfbt.kernels.book_abi import (
    BOOK_FILL,
    BUS,
    COPY,
    DELAY,
    ENDED,
    MESSAGE,
    RESTING,
    SAMPLE,
    SETTINGS,
    STEP,
    Hall,
    Output,
    Terms,
    open_hall,
)
from wfbt.kernels.book_codes import FREE, Decide, Pause, Status
from wfbt.kernels.book_policies import compiled
from wfbt.kernels.sparse import roomier

Records = npt.NDArray[np.void]

SECOND = 1_000_000_000

ROOM = 4096
"""Records of each kind at first before results are taken away."""

MOST = 1 << 20
"""And in the end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BookLedger:
    """What a replay did.

    Attributes
    ----------
    symbols : tuple of str
        Numbered in this order in every record.
    fills : (N,) BOOK_FILL
        In the exchange's order; prices in quote per unit, quantities in lots.
    orders : (K,) ENDED
        Orders that ended, in the order of their ends.
    working : (W,) RESTING
        Orders at rest at the end, in the order of their arrival, with lots before them and lots left.
    samples : (D · S,) SAMPLE
        Both sides at each decision before its requests, symbol after symbol.
    exchange, local : (S,) PURSE
        The account at the end by symbol, as the exchange and as the local side has it.
    liquidation_fees, shortfall : float
    positions, known : (S,) int64
        Lots at the end, likewise.
    refused : int
        Requests that were refused on the spot: unknown, used or unanswered ids, no lots.
    halted : bool
        The account was liquidated.
    """

    symbols: tuple[str, ...]
    fills: Records
    orders: Records
    working: Records
    samples: Records
    exchange: Records
    local: Records
    liquidation_fees: float
    shortfall: float
    positions: npt.NDArray[np.int64]
    known: npt.NDArray[np.int64]
    refused: int
    halted: bool

    @property
    def ts(self) -> npt.NDArray[np.int64]:
        """(D,) ns UTC of the decisions."""
        return np.asarray(self.samples["ts"][:: len(self.symbols)])

    @property
    def equity(self) -> npt.NDArray[np.float64]:
        """(D,) equity at the exchange, quote, or coin for inverse contracts; NaN while a held symbol has had no mid."""
        return np.asarray(self.samples["equity"][:: len(self.symbols)])


def replay_book(
    events: Mapping[str, BookEvents | Iterable[BookEvents]],
    venues: Mapping[str, BookVenue],
    policy: Callable[..., int],
    params: npt.ArrayLike,
    *,
    asking: Asking,
    model: BookModel | None = None,
    account: BookAccount | None = None,
    memory: int = 16,
    requests: int = 16,
    late: int = 60 * SECOND,
    first_id: int = 1,
) -> BookLedger:
    """Replay feeds, and the orders that a policy makes of what has arrived of them.

    Parameters
    ----------
    events : mapping of symbol to BookEvents or parts of it
        Parts follow each other in local time and may be read as they are needed: no more than two are held.
    venues : mapping of symbol to BookVenue
    policy : function
        A step of `wfbt.kernels.book_policies`, compiled here.
    params : (P,) float64
        Handed to each step.
    asking : Asking
    model : BookModel, optional
    account : BookAccount, optional
    memory, requests : int
        Numbers that the policy may keep, the first of which begins as `first_id`; most requests of a decision.
    late : int
        ns that a row of a feed in parts is received after it happened, at most.

    ConfigError where symbols and venues differ, DataError where a feed breaks a rule, PolicyError where a policy does
    not compile or makes too many requests.
    """
    if not events or set(events) != set(venues):
        raise ConfigError(f"book replay: one venue for each symbol, were {sorted(events)} and {sorted(venues)}")
    model, account = model or BookModel(), account or BookAccount()
    symbols = tuple(events)
    given = [events[symbol] for symbol in symbols]
    windows = [
        Window(symbol, (parts,) if isinstance(parts, BookEvents) else parts, late)
        for symbol, parts in zip(symbols, given, strict=True)
    ]
    hall = open_hall(len(symbols), requests=requests, memory=memory)
    hall.memory[0] = first_id
    terms = _terms(windows, [venues[symbol] for symbol in symbols], model, account, asking, hall)
    return _Run(symbols, windows, hall, terms).until_done(_step(policy), np.array(params, np.float64).ravel())


def _step(policy: Callable[..., int]) -> Callable[..., int]:
    try:
        step: Callable[..., int] = compiled(policy)
    except NumbaError as error:
        name = getattr(policy, "__name__", repr(policy))
        told = f"{name}: not a step that compiles (wfbt.kernels.book_policies says what one is): {error}"
        raise PolicyError(told) from error
    return step


def _terms(
    windows: list[Window], venues: list[BookVenue], model: BookModel, account: BookAccount, asking: Asking, hall: Hall
) -> Terms:
    """Rules as the kernel reads them; fills in what of them belongs to a symbol."""
    settings = np.zeros(1, SETTINGS)
    settings["partial"], settings["depletion"] = model.partial, model.depletion
    settings["queue"], settings["power"] = QUEUES[model.queue], model.power
    settings["linear"] = model.interpolate
    settings["opening"], settings["leverage"] = account.cash, account.leverage
    settings["maintenance"] = account.maintenance
    settings["liquidation_fee"] = account.liquidation_fee_bps / 1e4
    settings["decide"], settings["period"] = asking.decide, asking.period
    if asking.decide == Decide.CLOCK:
        settings["start"] = _earliest(windows) if asking.start is None else asking.start
    delays: list[Records] = []
    steps: list[Records] = []
    ends = {"delays": 0, "steps": 0}

    def place(kind: str, rows: Records, into: list[Records]) -> tuple[int, int]:
        into.append(rows)
        first, ends[kind] = ends[kind], ends[kind] + len(rows)
        return first, ends[kind]

    for symbol, venue in zip(hall.symbols, venues, strict=True):
        symbol["tick"], symbol["lot"] = venue.tick_size, venue.lot_size
        symbol["multiplier"], symbol["inverse"] = venue.multiplier, float(venue.inverse)
        symbol["maker"], symbol["taker"] = venue.maker_bps / 1e4, venue.taker_bps / 1e4
        symbol["entry_first"], symbol["entry_end"] = place("delays", venue.entry.packed(), delays)
        symbol["response_first"], symbol["response_end"] = place("delays", venue.response.packed(), delays)
        if venue.impact is not None:
            symbol["impact_first"], symbol["impact_end"] = place("steps", venue.impact.packed(), steps)
        if venue.funding is not None:
            stamps = np.zeros(len(venue.funding.ts), STEP)
            stamps["ts"], stamps["value"] = venue.funding.ts, venue.funding.rate
            stamps["mark"] = venue.funding.mark
            symbol["stamp"], symbol["stamp_end"] = place("steps", stamps, steps)
    packed = (settings, np.concatenate(delays, dtype=DELAY), np.concatenate([np.zeros(0, STEP), *steps], dtype=STEP))
    for array in packed:
        array.flags.writeable = False
    return Terms(*packed)


def _earliest(windows: list[Window]) -> int:
    """The earliest time of any row, for which parts are read until no later one can hold an earlier row."""
    times = [first for window in windows if (first := window.earliest()) is not None]
    if not times:
        raise DataError("book replay: no symbol has a row")
    return min(times)


class _Run:
    """The loop around the kernel: it hands over rows, makes room and takes results away."""

    def __init__(self, symbols: tuple[str, ...], windows: list[Window], hall: Hall, terms: Terms) -> None:
        self.symbols, self.windows, self.hall, self.terms = symbols, windows, hall, terms
        self.out = Output(np.zeros(ROOM, BOOK_FILL), np.zeros(ROOM, ENDED), np.zeros(ROOM, SAMPLE))
        self.taken: tuple[list[Records], list[Records], list[Records]] = ([], [], [])

    def until_done(self, step: object, params: npt.NDArray[np.float64]) -> BookLedger:
        """Replay to the end of all rows."""
        self.lay_rows()
        while True:
            pause = Pause(replay_kernel(self.hall, self.terms, self.exchange, self.local, step, params, self.out))
            if pause == Pause.DONE:
                break
            if pause == Pause.ASKED:
                raise PolicyError(
                    f"the policy said that it made more requests than the {len(self.hall.asked)} there is room for in "
                    "a decision: let `requests` be larger"
                )
            if pause in (Pause.EXCHANGE_ROWS, Pause.LOCAL_ROWS):
                self.read_on()
            else:
                self.make_room(pause)
        self.take_away()
        fills, ended, samples = (np.concatenate(part) for part in self.taken)
        hall = self.hall
        at_rest = (hall.orders["id"] != FREE) & np.isin(hall.orders["status"], (Status.NEW, Status.PARTIAL))
        return BookLedger(
            symbols=self.symbols,
            fills=fills,
            orders=ended,
            working=np.sort(hall.orders[at_rest], order="number"),
            samples=samples,
            exchange=hall.true.copy(),
            local=hall.told.copy(),
            liquidation_fees=float(hall.course["liquidation"][0]),
            shortfall=float(hall.course["shortfall"][0]),
            positions=hall.symbols["position"].copy(),
            known=hall.symbols["known"].copy(),
            refused=int(hall.course["refused"][0]),
            halted=bool(hall.course["halted"][0]),
        )

    def lay_rows(self) -> None:
        """Lay the windows side by side, from their beginning."""
        self.exchange = joined([w.exchange for w in self.windows])
        self.local = joined([w.local for w in self.windows])
        for side in ("exchange", "local"):
            ends = np.cumsum([len(getattr(w, side).ts) for w in self.windows])
            self.hall.symbols[side + "_end"] = ends
            self.hall.symbols[side] = np.r_[0, ends[:-1]]
        self.hall.symbols["final"] = [w.final for w in self.windows]

    def read_on(self) -> None:
        """Let go of the rows taken in, and read a part of each symbol that has none left."""
        begins = {side: np.r_[0, self.hall.symbols[side + "_end"][:-1]] for side in ("exchange", "local")}
        for s, window in enumerate(self.windows):
            symbol = self.hall.symbols[s]
            used = [int(symbol[side] - begins[side][s]) for side in ("exchange", "local")]
            if not window.final and (
                symbol["exchange"] == symbol["exchange_end"] or symbol["local"] == symbol["local_end"]
            ):
                window.more(*used)
            else:
                window.let_go(*used)
        self.lay_rows()

    def make_room(self, pause: Pause) -> None:
        """Enlarge what the kernel found too small, or empty it."""
        hall = self.hall
        if pause in (Pause.OUTPUT, Pause.SAMPLES):
            # Larger each time, up to a size; beyond it only where one event or decision needs more.
            idle = not any(self.hall.course[name][0] for name in ("fills", "ended", "samples"))
            self.take_away()
            self.out = Output(*(np.zeros((1 + (idle or len(x) < MOST)) * len(x), x.dtype) for x in self.out))
        elif pause == Pause.LEVELS:
            self.hall = hall._replace(
                outside=hall.outside._replace(far=roomier(hall.outside.far)),
                inside=hall.inside._replace(far=roomier(hall.inside.far)),
            )
        elif pause == Pause.TAKEN:
            self.hall = hall._replace(taken=roomier(hall.taken))
        elif pause == Pause.IDS:
            self.hall = hall._replace(ids=roomier(hall.ids))
        elif pause == Pause.MESSAGES:
            self.hall = _with_more_mail(hall)
        else:
            self.hall = _with_more_places(hall)

    def take_away(self) -> None:
        """Keep the results so far, and let the kernel begin anew in their place."""
        course = self.hall.course
        for kept, array, name in zip(self.taken, self.out, ("fills", "ended", "samples"), strict=True):
            kept.append(array[: course[name][0]].copy())
            course[name] = 0


def _with_more_mail(hall: Hall) -> Hall:
    """The same messages in rings twice as long, each from its beginning."""
    rows, size = hall.mail.shape
    mail, bus = np.zeros((rows, 2 * size), MESSAGE), hall.bus.copy()
    for r in range(rows):
        mail[r, :size] = np.roll(hall.mail[r], -int(bus["head"][r]))
    bus["head"] = 0
    return hall._replace(mail=mail, bus=bus.astype(BUS))


def _with_more_places(hall: Hall) -> Hall:
    """The same orders with twice the places."""
    symbols, places = hall.orders.shape
    orders, copies = np.zeros((symbols, 2 * places), RESTING), np.zeros((symbols, 2 * places), COPY)
    orders["id"] = copies["id"] = FREE
    line = np.zeros((2 * symbols, 2 * places), np.int64)
    orders[:, :places], copies[:, :places], line[:, :places] = hall.orders, hall.copies, hall.line
    return hall._replace(orders=orders, copies=copies, line=line)
