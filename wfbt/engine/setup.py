"""Everything that a replay needs beside a market and what is decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from wfbt.data.market import BPS
from wfbt.engine.account import Account, Exits, Limits, Sizing, off
from wfbt.engine.costs import Costs
from wfbt.engine.latency import Latency
from wfbt.engine.orders import Orders
from wfbt.errors import ConfigError
from wfbt.kernels.abi import NO_LIMIT, Rules, Schedule, Size

WORKED = {"twap": Schedule.SLICES, "vwap": Schedule.SLICES, "pov": Schedule.POV, "iceberg": Schedule.ICEBERG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Venue, delays and owner of an account.  What is left at its default is off, costs being those of `Costs`."""

    costs: Costs = field(default_factory=Costs)
    latency: Latency = field(default_factory=Latency.none)
    account: Account = field(default_factory=Account)
    sizing: Sizing = field(default_factory=Sizing)
    exits: Exits = field(default_factory=Exits)
    limits: Limits = field(default_factory=Limits)
    orders: Orders = field(default_factory=Orders)

    def __post_init__(self) -> None:
        exposure = self.limits.exposure
        if exposure.liquidity is not None and not (self.costs.participation and self.costs.participation.order):
            raise ConfigError("limits.liquidity needs costs.participation.order, the share of volume one leaves at")


def setup_with(**parts: Any) -> Setup:
    """A setup of what is given; a part that is None is left at its default."""
    return Setup(**{name: part for name, part in parts.items() if part is not None})


def rules_of(setup: Setup, horizon: int) -> Rules:
    """What the kernel is told in scalars: fractions, never bps; times in ns."""
    costs, account, sizing, exits, limits, orders = (
        setup.costs, setup.account, setup.sizing, setup.exits, setup.limits, setup.orders,
    )  # fmt: skip
    participation = costs.participation
    return Rules(
        cash=float(account.cash),
        leverage=float(min(account.leverage, off(limits.max_leverage))),
        liquidation_fee=account.liquidation_fee_bps * BPS,
        maker=costs.maker_bps * BPS,
        taker=costs.taker_bps * BPS,
        half_spread=costs.half_spread_bps * BPS,
        horizon=float(horizon),
        adverse=float(setup.latency.adverse),
        size=int(Size.NOTIONAL if sizing.method == "fixed" else Size.EQUITY),
        at_fill=sizing.price == "fill",
        max_position=off(sizing.max_position),
        band=off(sizing.band),
        time_exit=int(exits.time or 0),
        daily_loss=off(limits.max_daily_loss),
        drawdown=off(limits.max_drawdown),
        losses=int(limits.losses or 0),
        cool_down=int(limits.cool_down),
        participation=off(participation.order if participation else None),
        hourly=off(participation.hour if participation else None),
        touch=float(orders.touch),
        post_only=orders.post_only,
        min_interval=int(orders.min_interval),
        max_open=int(orders.max_open or NO_LIMIT),
        schedule=int(WORKED[orders.schedule.model] if orders.schedule else Schedule.WHOLE),
        share=float(orders.schedule.share if orders.schedule else 0.0),
        isolated=account.margin == "isolated",
        ratchet_after=off(exits.ratchet.after if exits.ratchet else None),
        ratchet_keep=float(exits.ratchet.keep if exits.ratchet else 0.0),
        follow=exits.trail_follow,
        correlated_at=float(limits.exposure.correlated_at),
        tail=float(limits.exposure.tail),
        window=int(limits.exposure.window),
        monthly=float(account.traded),
    )
