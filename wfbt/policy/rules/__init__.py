"""Built-in rules: bars in, targets out.

Row t of what they return is made of rows ≤ t and is bit-equal whatever comes after.  They are stateless in time: a
position is the last entry or exit event carried forward, found without a loop.  NaN until every indicator is warm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wfbt.policy.rules.news import divergence, sentiment
from wfbt.policy.rules.pairs import correlation
from wfbt.policy.rules.prices import breakout, buy_hold, carry, ema_rsi_adx, momentum, random, sma_cross, zscore
from wfbt.policy.rules.session import session

_RULES: tuple[Callable[..., Any], ...] = (
    *(ema_rsi_adx, sma_cross, breakout, zscore, momentum, carry),
    *(session, divergence, sentiment, correlation),
    *(buy_hold, random),
)

BUILT_IN: dict[str, Callable[..., Any]] = {function.__name__: function for function in _RULES}
