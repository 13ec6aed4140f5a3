"""Integer codes of the replay of order books."""

from enum import IntEnum

NEVER = 2**63 - 1
FREE = -1
"""Id of a place without an order."""


class Kind(IntEnum):
    """What a row of the feed says."""

    DEPTH = 0  # a level now shows so many lots
    TRADE = 1  # `side` is the aggressor's
    CLEAR = 2  # a side, or with side 0 both, is empty
    CLEAR_TO = 3  # a side has nothing at the tick or better


class Type(IntEnum):
    """What an order's price means."""

    LIMIT = 0
    MARKET = 1


class Tif(IntEnum):
    """Time in force."""

    GTC = 0
    POST = 1
    FOK = 2
    IOC = 3


class Ask(IntEnum):
    """What is requested of the exchange."""

    NEW = 0
    CANCEL = 1
    MODIFY = 2


class Status(IntEnum):
    """Of an order, at the exchange or as far as is known locally."""

    SENT = 0
    NEW = 1
    EXPIRED = 2
    FILLED = 3
    CANCELED = 4
    PARTIAL = 5  # open, and partly filled
    REJECTED = 6


class Answer(IntEnum):
    """What a message of the exchange answers."""

    NONE = 0
    NEW = 1
    CHANGE = 2  # a cancel or a modify


class Decide(IntEnum):
    """When the policy is asked."""

    CLOCK = 0  # every `period` after `start`
    DATA = 1  # at each instant at which data arrive
    ALL = 2  # or an answer or report does


class Pause(IntEnum):
    """Why the replay has come back; each but DONE goes on, bit for bit, once what it lacks has been provided."""

    DONE = 0
    EXCHANGE_ROWS = 1  # rows by exchange time; those taken in are no longer needed
    LOCAL_ROWS = 2  # rows by local time, likewise
    LEVELS = 3  # larger maps of levels
    TAKEN = 4  # larger maps of depleted lots
    OUTPUT = 5  # room for fills or ended orders: take away what is there
    MESSAGES = 6  # larger buses
    SAMPLES = 7  # room for samples: take away what is there
    IDS = 8  # a larger map of ids
    ORDERS = 9  # more places for orders
    ASKED = 10  # a policy that makes no more requests than it was given room for: there is no going on
