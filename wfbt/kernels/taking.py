"""Own orders that take: what the book offers up to a limit, and walking through it."""

from math import sqrt

from wfbt.kernels._jit import inlined, part
from wfbt.kernels.bus import row_at
from wfbt.kernels.ladder import NOTHING, next_below, shown
from wfbt.kernels.sparse import put_key, value_of


@inlined
def offered(pit, h, step):
    """Lots shown at a step less what own orders have taken there."""
    return shown(pit.ladder, h, step) - value_of(pit.taken, h, step)


@part
def survey(pit, h, limit, wanted):
    """What half `h` offers from its best down to `limit`, as far as `wanted`; and at how many levels."""
    found, levels = 0, 0
    step = pit.ladder.sides[h]["best"]
    while step != NOTHING and step >= limit and found < wanted:
        here = offered(pit, h, step)
        if here > 0:
            found += min(here, wanted - found)
            levels += 1
        step = next_below(pit.ladder, h, step)
    return found, levels


@part
def next_offer(pit, h, step, limit):
    """The first step from `step` down to `limit` at which something is offered, NOTHING for none."""
    while step != NOTHING and step >= limit:
        if offered(pit, h, step) > 0:
            return step
        step = next_below(pit.ladder, h, step)
    return NOTHING


@inlined
def deplete(pit, h, step, lots):
    """Remember lots that an own order took."""
    put_key(pit.taken, h, step, value_of(pit.taken, h, step) + lots)


@part
def taker_price(pit, symbol, tick, side, lots, now):
    """Price of a taking order's fill that takes `lots` in all, with the square-root law's impact where it is on."""
    price = tick * symbol["tick"]
    if symbol["impact_first"] < symbol["impact_end"]:
        i = row_at(pit.steps, symbol["impact"], symbol["impact_first"], symbol["impact_end"], now)
        symbol["impact"] = i
        return price * (1.0 + side * min(pit.steps[i]["value"] * sqrt(lots * symbol["lot"]), 0.99))
    return price
