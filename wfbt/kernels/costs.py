"""What an order pays beyond the market's price.  Scalars in, scalars out."""

from math import ceil, floor, sqrt

from wfbt.kernels._jit import inlined

WORST_SLIP = 0.99  # a sale never yields nothing: beyond this the square-root law has left its domain


@inlined
def slippage(qty, impact, half_spread):
    """Half spread plus square-root impact, as a fraction of the reference price; `impact` is per √unit."""
    return min(half_spread + impact * sqrt(abs(qty)), WORST_SLIP)


@inlined
def on_tick(price, side, tick):
    """`price` on the grid, against the trader: a buy up, a sale down, never below one tick."""
    if tick == 0.0:
        return price
    if side > 0.0:
        return ceil(price / tick - 1e-9) * tick
    return max(floor(price / tick + 1e-9) * tick, tick)


@inlined
def on_grid(level, side, tick):
    """`level` on the grid, up for side 1 and down for side −1; below one tick that is 0, which no price reaches."""
    if tick == 0.0:
        return level
    return ceil(level / tick - 1e-9) * tick if side > 0.0 else floor(level / tick + 1e-9) * tick


@inlined
def whole_lots(qty, lot):
    """`qty` cut toward zero; 0.3 is three lots of 0.1, whatever binary fractions say."""
    if lot == 0.0:
        return qty
    cut = floor(abs(qty) / lot + 1e-9) * lot
    return cut if qty > 0.0 else -cut


@inlined
def step_to(goal, position, lot):
    """Quantity that takes `position` to `goal`, in whole lots; what only rounding makes a difference is none."""
    delta = goal - position
    if abs(delta) <= 1e-12 * max(abs(goal), abs(position)):
        return 0.0
    return whole_lots(delta, lot)


@inlined
def delayed_price(open, high, low, slide, adverse, side):
    """Market price some way into a bar: a diffusion by `slide` from its open that stays inside its range.

    `adverse` in 0..1 turns the draw against the trader, so a delay costs on average and not only in variance.
    """
    z = open * slide
    price = open + (1.0 - adverse) * z + adverse * side * abs(z)
    return min(max(price, low), high)
