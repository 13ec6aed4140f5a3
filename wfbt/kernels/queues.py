"""Where an own order stands in the queue of its price level: estimates from trades and from what the level shows.

Scalars in, scalars out; in lots.  What leaves a level without a trade left from behind the order with a share p(front,
back): Rigtorp (2013), "Estimating order queue position"; the forms of p are those of hftbacktest.
"""

from enum import IntEnum
from math import inf, isinf, isnan, log, nan

from wfbt.kernels._jit import part


class Queue(IntEnum):
    """The form of p, with n a number > 0."""

    RISK_AVERSE = 0  # only trades move an order forward
    POWER = 1  # bⁿ / (bⁿ + aⁿ), a before and b behind
    POWER2 = 2  # bⁿ / (a + b)ⁿ
    POWER3 = 3  # 1 − (a / (a + b))ⁿ
    LOG = 4  # ln(1 + b) / (ln(1 + b) + ln(1 + a)), in units
    LOG2 = 5  # ln(1 + b) / ln(1 + a + b), in units


@part
def ratio(x, y):
    """x / y of IEEE arithmetic, also where Python would raise."""
    if y != 0.0:
        return x / y
    return nan if x == 0.0 or isnan(x) else (inf if x > 0.0 else -inf)


@part
def share_behind(front, back, model, n, unit):
    """p; infinite or NaN where its form is.  `unit` is what a lot is in units."""
    if model == Queue.POWER:
        return ratio(back**n, back**n + front**n)
    if model == Queue.POWER2:
        return ratio(back**n, (front + back) ** n)
    if model == Queue.POWER3:
        return 1.0 - ratio(front, front + back) ** n
    if model == Queue.LOG:
        return ratio(log(1.0 + back * unit), log(1.0 + back * unit) + log(1.0 + front * unit))
    return ratio(log(1.0 + back * unit), log(1.0 + front * unit + back * unit))


@part
def front_after(front, traded, before, now, model, n, unit):
    """Lots before an order once its level shows `now` lots instead of `before`, `traded` since it last changed."""
    shown = float(now)
    if model == Queue.RISK_AVERSE:
        return min(front, shown)
    left = before - shown - traded
    if left < 0.0:
        return min(front, shown)
    back = before - front
    p = share_behind(front, back, model, n, unit)
    if isinf(p):
        p = 1.0
    if isnan(p):
        return shown
    return min(front - (1.0 - p) * left + min(back - p * left, 0.0), shown)
