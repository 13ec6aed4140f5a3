"""What crosses into compiled code: record dtypes, integer codes and packed parameters.

T rows, A assets, L lanes, N fills, K funding payments.  Two-dimensional market arrays are (T, A), C-contiguous, so that
the loop (time outside, assets inside) walks them in order.
"""

from enum import IntEnum
from math import inf
from typing import NamedTuple

import numpy as np


class Reason(IntEnum):
    """Why a fill happened."""

    TARGET = 0
    BAND = 1
    STOP = 2
    TRAIL = 3
    TAKE = 4
    TIME = 5
    LIQUIDATION = 6
    BREAKER = 7
    DELISTED = 8
    RATCHET = 9


class Liquidity(IntEnum):
    """Which side of the book a fill was on."""

    TAKER = 0
    MAKER = 1
    VENUE = 2  # a liquidation: neither spread nor trading fee


class Size(IntEnum):
    """What an intent's `size` is a multiple of."""

    EQUITY = 0
    NOTIONAL = 1


class Schedule(IntEnum):
    """How an order is worked."""

    WHOLE = 0
    SLICES = 1  # TWAP and VWAP: the host lays the slices out
    POV = 2
    ICEBERG = 3


class Outcome(IntEnum):
    """How an order of the policy ended."""

    OPEN = 0  # still on its way or at work when the lane ended
    FILLED = 1  # complete, also when there was nothing to do
    CUT = 2  # by leverage or margin
    REPLACED = 3
    EXPIRED = 4
    REJECTED = 5  # post-only, and marketable
    CANCELLED = 6  # by an exit, a breaker, a liquidation, a delisting or a target that is held


class Bound(IntEnum):
    """Exposure limits, in the order in which they are judged."""

    GROSS = 0
    NET = 1
    ASSET = 2
    CONCENTRATION = 3
    CORRELATED = 4
    VAR = 5
    CVAR = 6
    LIQUIDITY = 7
    STOPS = 8
    VOLATILITY = 9


class Act(IntEnum):
    """What an exposure limit does when it is broken."""

    CAP = 0
    REFUSE = 1
    FLATTEN = 2


class Status(IntEnum):
    """How a lane ended."""

    DONE = 0
    HALTED = 1  # equity reached zero
    FILLS_FULL = 2  # more fills, orders, events or liquidations than slots: allocate more and run again


INTENT = np.dtype(
    [
        ("row", np.int64),
        ("asset", np.int64),
        ("size", np.float64),
        ("stop", np.float64),
        ("take", np.float64),
        ("trail", np.float64),
        ("limit", np.float64),  # prices, NaN none
        ("trigger", np.float64),
        ("other_size", np.float64),  # the other leg of an OCO pair, NaN none
        ("other_limit", np.float64),
        ("other_trigger", np.float64),
        ("expire", np.int64),  # ns UTC
        ("first_slice", np.int64),  # slices [first, last) of a schedule
        ("last_slice", np.int64),
    ],
    align=True,
)

SLICE = np.dtype([("ts", np.int64), ("share", np.float64)], align=True)
"""From `ts` on, `share` (cumulative, ending at 1) of a scheduled order is due."""

TIER = np.dtype([("cap", np.float64), ("rate", np.float64), ("amount", np.float64)], align=True)
"""Margin tier: maintenance = rate·notional − amount up to a notional of `cap` (inf: the last), in account currency."""

FEE = np.dtype([("volume", np.float64), ("maker", np.float64), ("taker", np.float64)], align=True)
"""Fee tier: rates from a trailing 30-day volume on; sorted, the first at 0."""

LIMIT = np.dtype([("most", np.float64), ("act", np.int64)], align=True)
"""One exposure limit; inf: off."""

ORDER_LOG = np.dtype(
    [
        ("number", np.int64),
        ("asset", np.int32),
        ("outcome", np.int8),
        ("reason", np.int8),  # TARGET or BAND
        ("row", np.int64),  # decided at its close
        ("live", np.int64),
        ("expire", np.int64),
        ("goal", np.float64),
        ("limit", np.float64),
        ("trigger", np.float64),
        ("arrival", np.float64),
        ("filled", np.float64),  # signed units
        ("value", np.float64),  # Σ |qty|·price
        ("ended", np.int64),  # ns UTC; the lane's last close when OPEN
    ],
    align=True,
)

EVENT = np.dtype(
    [
        ("ts", np.int64),
        ("row", np.int64),
        ("asset", np.int64),  # −1: the account
        ("bound", np.int64),
        ("act", np.int64),
        ("value", np.float64),
        ("most", np.float64),
    ],
    align=True,
)
"""An exposure limit that acted."""

LIQUIDATION = np.dtype(
    [
        ("ts", np.int64),
        ("row", np.int64),
        ("asset", np.int64),
        ("qty", np.float64),
        ("price", np.float64),
        ("bankruptcy", np.float64),  # NaN where no price empties the account
        ("fee", np.float64),
        ("shortfall", np.float64),
    ],
    align=True,
)

TERMS = np.dtype([("arrive", np.int64), ("slide", np.float64), ("impact", np.float64)], align=True)
"""What a decision at a row's close means for its order: when it is live, how far the price diffuses until then within
the bar (a signed fraction of its open; 0 when nothing is known), and impact per √unit.  (T, A), so that a decision
costs one cache line.
"""

STAMP = np.dtype(
    [("ts", np.int64), ("row", np.int64), ("asset", np.int64), ("rate", np.float64), ("mark", np.float64)], align=True
)
"""A funding settlement: sorted by (row, asset, ts); `mark` is never NaN."""

FILL = np.dtype(
    [
        ("order", np.int64),  # running number of the order in its lane
        ("parent", np.int64),  # the order it is a child of; its own number when it has none
        ("asset", np.int32),
        ("liquidity", np.int8),
        ("reason", np.int8),
        ("ts", np.int64),
        ("row", np.int64),
        ("qty", np.float64),
        ("price", np.float64),
        ("reference", np.float64),
        ("arrival", np.float64),
        ("fee", np.float64),
        ("spread", np.float64),
        ("impact", np.float64),
    ],
    align=True,
)

PAYMENT = np.dtype(
    [
        ("ts", np.int64),
        ("row", np.int64),
        ("asset", np.int64),
        ("position", np.float64),
        ("rate", np.float64),
        ("mark", np.float64),
        ("paid", np.float64),  # positive: the account paid
    ],
    align=True,
)

ASSET = np.dtype(
    [
        ("multiplier", np.float64),
        ("inverse", np.float64),  # 1.0 inverse, 0.0 linear
        ("tick", np.float64),  # 0: no grid
        ("lot", np.float64),  # 0: no grid
        ("temporary", np.float64),
        ("permanent", np.float64),
        ("maintenance", np.float64),
    ],
    align=True,
)

LANE = np.dtype(
    [("start", np.int64), ("stop", np.int64), ("first", np.int64), ("last", np.int64), ("waits", np.int64)],
    align=True,
)
"""Rows [start, stop) of the market and intents [first, last) of the sheet that one lane replays.

One that `waits` (1) is left before each decision and taken up there by the next call; −1: it is passed over, as is one
that has waited from the call on that brings it to its end.
"""

TALLY = np.dtype(
    [
        ("status", np.int64),
        ("fills", np.int64),
        ("payments", np.int64),
        ("trips", np.int64),
        ("wins", np.int64),
        ("rows_held", np.int64),
        ("equity", np.float64),
        ("equity_sum", np.float64),  # over the closes of the lane's rows
        ("max_drawdown", np.float64),
        ("won", np.float64),
        ("lost", np.float64),
        ("fees", np.float64),
        ("spread", np.float64),
        ("impact", np.float64),
        ("funding", np.float64),
        ("liquidation", np.float64),
        ("shortfall", np.float64),
        ("traded", np.float64),
        ("breakers", np.int64),
        ("orders", np.int64),
        ("events", np.int64),
        ("liquidations", np.int64),
    ],
    align=True,
)
"""What a lane sums up while it runs; enough for a screen without keeping any curve."""


NO_LIMIT = 2**62
"""A count that nothing reaches."""


class Rules(NamedTuple):
    """Account, costs, sizing, exits and limits of one replay.  Fractions, never bps; off is inf or NaN as said."""

    cash: float
    leverage: float  # the smaller of the venue's and the trader's
    liquidation_fee: float
    maker: float
    taker: float
    half_spread: float
    horizon: float  # ns of the impact horizon
    adverse: float
    size: int  # Size
    at_fill: bool
    max_position: float  # inf: off
    band: float  # inf: off
    time_exit: int  # ns; 0: off
    daily_loss: float  # inf: off
    drawdown: float  # inf: off
    losses: int  # 0: off
    cool_down: int  # ns
    participation: float = inf  # of an order or exit in the volume of a row; inf: off
    hourly: float = inf  # of a symbol's fills in the volume of a clock hour; inf: off
    touch: float = 0.0  # share of a row's volume that a resting order gets when its limit is only touched
    post_only: bool = False
    min_interval: int = 0  # ns between orders of a symbol
    max_open: int = NO_LIMIT  # orders of a symbol open at once
    schedule: int = 0  # Schedule
    share: float = 0.0  # of POV in a row's volume; of an iceberg, what it displays
    isolated: bool = False
    ratchet_after: float = inf  # R; inf: off
    ratchet_keep: float = 0.0
    follow: bool = False  # trails follow `Activity.follow`
    correlated_at: float = 0.7  # threshold of Bound.CORRELATED
    tail: float = 0.05  # share of the worst days, of VAR and CVAR
    window: int = 250  # days of VAR and CVAR
    monthly: float = 0.0  # value traded in the 30 days before the lane


RULES = np.dtype(
    [(name, np.float64 if kind is float else np.int64) for name, kind in Rules.__annotations__.items()],
    align=True,
)
"""`Rules` as a record: helpers get a pointer, where a NamedTuple would be passed field by field at every call."""


def record_of(rules: Rules) -> np.ndarray:
    """(1,) RULES."""
    return np.array([tuple(rules)], RULES)


THROUGHOUT = np.ones(1)
THROUGHOUT.setflags(write=False)


class Activity(NamedTuple):
    """What caps, trails and exposure limits look up.  An array that nothing asks for has one element per axis.

    Known at the row's close, but `traded` and `hourly`, which say what a row's fills may take of it.
    """

    traded: np.ndarray  # (T, A) f8, units traded in the row, NaN unknown
    hourly: np.ndarray  # (T, A) f8, units traded in its clock hour so far, the row included
    follow: np.ndarray  # (T, A) f8, trailing distance from the next row on, NaN none
    depth: np.ndarray  # (T, A) f8, participation · trailing volume per day, units, NaN unknown
    volatility: np.ndarray  # (T, A) f8, annual, NaN unknown
    ended: np.ndarray  # (T,) i8, UTC days ended by the row's close: the rows of `days` that are known
    days: np.ndarray  # (D, A) f8, simple returns of the marks over UTC days, NaN none
    correlations: np.ndarray  # (D + 1, A, A) f8, known when k days have ended, NaN unknown
    wider: np.ndarray = THROUGHOUT  # (T,) f8, multiple of `Rules.half_spread` for the row's fills; one element: none


class Venue(NamedTuple):
    """What the venue and the account's owner rule, beyond scalars."""

    tiers: np.ndarray  # (A, K) TIER
    fees: np.ndarray  # (J,) FEE; none: `Rules.maker` and `Rules.taker`
    bounds: np.ndarray  # (10,) LIMIT by Bound
    final: np.ndarray  # (A,) i8, last row of an asset that is delisted, else −1
    slices: np.ndarray  # (S,) SLICE


class Tape(NamedTuple):
    """The market as the kernel walks it.  Every array is C-contiguous and read-only.

    Prices are quote per unit, NaN in `open` … `close` where an asset has no bar; times int64 ns UTC.
    """

    open_ts: np.ndarray  # (T,) i8
    close_ts: np.ndarray  # (T,) i8
    decision: np.ndarray  # (T,) bool: may an intent be decided at this row's close
    day_end: (
        np.ndarray
    )  # (T,) bool: the next row closes in another UTC day (a midnight close belongs to the day before)
    open: np.ndarray  # (T, A) f8
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    mark_open: (
        np.ndarray
    )  # (T, A) f8, equal to the bar where no mark is known, the last mark where the asset is missing
    mark_high: np.ndarray
    mark_low: np.ndarray
    mark_close: np.ndarray
    sigma: np.ndarray  # (T, A) f8, known at the row's close, NaN unknown; the kernel reads it through TERMS
    volume: np.ndarray  # (T, A) f8, likewise
    arrive: np.ndarray  # (T, A) i8: when an order decided at this row's close is live; ≥ close_ts
    gauss: np.ndarray  # (T, A) f8: standard normal draw of the decision


STATE = np.dtype(
    [
        ("position", np.float64),
        ("entry", np.float64),  # average fill price
        ("stop", np.float64),  # distances in force, NaN none
        ("take", np.float64),
        ("trail", np.float64),
        ("extreme", np.float64),  # best price since the trail began
        ("trip", np.float64),  # running profit of the round trip
        ("wanted", np.float64),  # size of the last accepted target, NaN after an exit
        ("level", np.float64),  # prices of the exits in force: the stop's, and the take-profit's
        ("target", np.float64),
        ("anchor", np.float64),  # price from which this bar's path is judged
        ("held", np.float64),  # size of a target waiting for permission, NaN none
        ("risk", np.float64),  # stop distance at the last opening or reversal, NaN none
        ("wallet", np.float64),  # isolated margin
        ("margin", np.float64),  # rate of its highest margin tier
        ("hour_filled", np.float64),  # units filled in clock hour `hour`
        ("hour", np.int64),
        ("left", np.int64),  # when its last order left
        ("because", np.int64),  # Reason of `level`
        ("stamp", np.int64),  # next funding stamp of this row, -1 none
        ("deadline", np.int64),  # of the time exit
        ("intent", np.int64),  # the held target's
        ("judged", np.int64),  # row on which a target was last judged
        ("inside", np.int64),  # filled inside this bar
        ("exited", np.int64),  # its take-profit has filled a part on this row
        ("flatten", np.int64),  # a breaker closes it at its next open
        ("flattened", np.float64),  # units that the breaker's exit has filled so far
        ("later", np.int64),  # its orders wait for this row's second round
        ("refused", np.int64),  # the held target has been refused by an exposure limit
        ("flying", np.int64),  # orders decided and not live
        ("working", np.int64),  # an order is at work: live, and not handled or not complete
    ],
    align=True,
)
"""One asset of one lane."""

ORDER = np.dtype(
    [
        ("number", np.int64),
        ("row", np.int64),  # decided at its close
        ("arrive", np.int64),
        ("slide", np.float64),
        ("impact", np.float64),
        ("arrival", np.float64),  # close on which it was decided; an exit's level
        ("goal", np.float64),  # position to move to
        ("size", np.float64),
        ("stop", np.float64),
        ("take", np.float64),
        ("trail", np.float64),
        ("reason", np.int64),  # a rebalance of the band keeps brackets, extreme and deadline
        ("log", np.int64),  # its record in the order log, −1 none
        ("plain", np.int64),  # completes when it is handled: what follows is not set
        ("limit", np.float64),
        ("trigger", np.float64),  # NaN none, or triggered
        ("other_goal", np.float64),
        ("other_size", np.float64),  # NaN: no other leg
        ("other_limit", np.float64),
        ("other_trigger", np.float64),
        ("rests", np.int64),  # row from which its limit rests
        ("other_rests", np.int64),
        ("watched", np.int64),  # row from which its triggers are watched inside the bar; −1: not handled
        ("expire", np.int64),
        ("first_slice", np.int64),
        ("last_slice", np.int64),
        ("schedule", np.int64),
        ("late", np.int64),  # left after its decision: `slide` is for one horizon
        ("acted", np.int64),  # row on which it last filled, or could have but for room
        ("start", np.float64),  # position when it was handled
        ("filled", np.float64),  # units
    ],
    align=True,
)

ACCOUNT = np.dtype(
    [
        ("cash", np.float64),
        ("peak", np.float64),
        ("trough", np.float64),  # lowest equity since the peak
        ("day_equity", np.float64),
        ("maker", np.float64),  # fees of today
        ("taker", np.float64),
        ("today", np.float64),  # value traded on this UTC day, in quote
        ("losses", np.int64),
        ("cool_until", np.int64),
        ("blocked_until", np.int64),
        ("orders", np.int64),
    ],
    align=True,
)

FEE_DAYS = 30
"""Whole UTC days whose trading decides the tier of fees."""

CARRY = np.dtype(
    [
        ("under_way", np.int64),  # the lane waits at the decision of `row`
        ("row", np.int64),
        ("fills", np.int64),
        ("payments", np.int64),
        ("day", np.int64),
        ("stamp", np.int64),
        ("worth", np.float64),  # equity at its close
        ("total", np.float64),  # of all closes so far
    ],
    align=True,
)
"""Where a lane that waits has come to; of one that is done, its last row plus one and its equity."""


SHEET = np.dtype(
    [
        ("long", np.float64),  # size of a target of 1
        ("short", np.float64),  # size of a target of −1, negative
        ("flat", np.float64),  # size of a target of 0: 0 or NaN
        ("stop", np.float64),  # distances, NaN none
        ("take", np.float64),
        ("trail", np.float64),
    ],
    align=True,
)
"""What an order decided on a decision bar is made of; NaN where the asset has no bar or size.  (T, A), so that a
decision costs one cache line.
"""


class Watch(NamedTuple):
    """What is remembered of M accounts that decide by what they see."""

    submitted: np.ndarray  # (M, A) f8, the last target that was named, 0 before the first
    held: np.ndarray  # (M, A) i8, decision bars for which the position has had its sign, 0 when flat
    side: np.ndarray  # (M, A) f8, that sign


def watch_of(lanes: int, assets: int) -> Watch:
    """Of accounts that have done nothing."""
    return Watch(
        submitted=np.zeros((lanes, assets)), held=np.zeros((lanes, assets), np.int64), side=np.zeros((lanes, assets))
    )


class Seen(IntEnum):
    """What an account can see of itself; those before DRAWDOWN for each asset."""

    POSITION = 0  # value over equity, signed
    TARGET = 1  # the last one named
    UNREALISED = 2  # return of the position since its average entry
    HOLDING = 3  # ln(1 + decision bars held)
    DRAWDOWN = 4  # from the peak, positive fraction
    GROSS = 5  # gross value over equity
    TODAY = 6  # return since the UTC day before ended


class Desk(NamedTuple):
    """M accounts and what is going on in them, kept between two calls of a replay."""

    carry: np.ndarray  # (M,) CARRY
    accounts: np.ndarray  # (M,) ACCOUNT
    state: np.ndarray  # (M, A) STATE
    flight: np.ndarray  # (M, A, slots) ORDER
    work: np.ndarray  # (M, A) ORDER
    ring: np.ndarray  # (M, FEE_DAYS) f8, value traded in the last days


def desk_of(lanes: int, assets: int, slots: int) -> Desk:
    """A desk on which nothing is going on."""
    return Desk(
        carry=np.zeros(lanes, CARRY),
        accounts=np.zeros(lanes, ACCOUNT),
        state=np.zeros((lanes, assets), STATE),
        flight=np.zeros((lanes, assets, slots), ORDER),
        work=np.zeros((lanes, assets), ORDER),
        ring=np.zeros((lanes, FEE_DAYS)),
    )
