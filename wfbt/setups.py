"""The venue, the delays and the owner that a strategy's plain values describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wfbt.config import schema, stress, trading
from wfbt.config.learning import Volatility
from wfbt.engine.account import Account, Exits, Limits, Ratchet, Sizing
from wfbt.engine.costs import Costs, Impact
from wfbt.engine.exposure import Cap, Exposure
from wfbt.engine.latency import Delay, Latency
from wfbt.engine.orders import Orders, Participation, Schedule
from wfbt.engine.setup import Setup
from wfbt.engine.venue import FeeTier, Tier
from wfbt.errors import ConfigError
from wfbt.validation.scenarios import Scenario


def setup_of(config: schema.Strategy, period: int) -> Setup:
    """Everything that a replay needs beside the market; `period` is that of its bars, ns."""
    return Setup(
        costs=_costs(config.costs),
        latency=Latency(
            order=_delay(config.latency.order, config),
            feed=_delay(config.latency.feed, config),
            response=_delay(config.latency.response, config),
            adverse=config.latency.adverse,
        ),
        account=account_of(config),
        sizing=_sizing(config.sizing, forecast=config.volatility is not None and config.volatility.sizing),
        exits=_exits(config.exits, config.volatility),
        limits=_limits(config.limits, period),
        orders=_orders(config.orders),
    )


def account_of(config: schema.Strategy) -> Account:
    """The account, with the tiers of its symbols."""
    return Account(
        cash=config.account.cash,
        leverage=config.account.leverage,
        margin=config.account.margin,
        maintenance=config.account.maintenance,
        liquidation_fee_bps=config.account.liquidation_fee_bps,
        tiers={name: _tiers(given.tiers) for name, given in config.data.symbols.items() if given.tiers},
        traded=config.account.traded,
    )


def measured_delays(path: str) -> list[float]:
    """Delays in ns of a file with one in ms a line, as a user's own measurements come."""
    try:
        lines = Path(path).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"latency file {path}: {error}") from error
    try:
        return [float(line) * 1e6 for line in lines]
    except ValueError as error:
        raise ConfigError(f"latency file {path}: one delay in ms a line is expected: {error}") from error


def _tiers(given: tuple[trading.Tier, ...]) -> tuple[Tier, ...]:
    return tuple(
        Tier(maintenance=one.maintenance) if one.up_to is None else Tier(up_to=one.up_to, maintenance=one.maintenance)
        for one in given
    )


def _costs(given: schema.Costs) -> Costs:
    return Costs(
        maker_bps=given.maker_bps,
        taker_bps=given.taker_bps,
        half_spread_bps=given.half_spread_bps,
        impact=Impact(
            temporary=given.impact.temporary, permanent=given.impact.permanent, horizon=int(given.impact.horizon)
        )
        if given.impact
        else None,
        participation=Participation(order=given.participation.order, hour=given.participation.hour)
        if given.participation
        else None,
        fee_tiers=tuple(
            FeeTier(volume=one.volume, maker_bps=one.maker_bps, taker_bps=one.taker_bps) for one in given.fee_tiers
        ),
    )


def _delay(given: Any, config: schema.Strategy) -> Delay:
    if isinstance(given, schema.Uniform):
        return Delay(model="uniform", low=float(given.low), high=float(given.high))
    if isinstance(given, schema.Lognormal):
        return Delay(model="lognormal", median=float(given.median), sigma=given.sigma)
    if isinstance(given, schema.Empirical):
        samples = given.samples if given.samples is not None else measured_delays(config.locate(str(given.file)))
        return Delay(model="empirical", samples=tuple(float(ns) for ns in samples))
    return Delay(low=float(given.value), high=float(given.value))


def _sizing(given: schema.Sizing, forecast: bool) -> Sizing:
    return Sizing(
        method=given.method,
        risk=given.risk,
        goal=given.goal,
        notional=given.notional,
        max_position=given.max_position,
        band=given.band,
        price=given.price,
        quiet_volatility=given.scale.volatility,
        diversify=given.scale.correlation,
        forecast=forecast,
    )


def _exits(given: schema.Exits, volatility: Volatility | None) -> Exits:
    counted = {} if volatility is None else {"horizon": int(volatility.horizon)}
    return Exits(
        atr=given.atr,
        stop_atr=given.stop_atr,
        take_atr=given.take_atr,
        trail_atr=given.trail_atr,
        stop_pct=given.stop_pct,
        take_pct=given.take_pct,
        stop_vol=given.stop_vol,
        take_vol=given.take_vol,
        trail_vol=given.trail_vol,
        **counted,
        time=given.time and int(given.time),
        ratchet=Ratchet(after=given.ratchet.after, keep=given.ratchet.keep) if given.ratchet else None,
        trail_follow=given.trail_follow,
    )


def _limits(given: schema.Limits, period: int) -> Limits:
    def cap(one: trading.Cap | None) -> Cap | None:
        return None if one is None else Cap(one.most, one.act)

    names = ("gross", "net", "asset", "concentration", "correlated", "var", "cvar", "liquidity", "stops")
    return Limits(
        max_daily_loss=given.max_daily_loss,
        max_drawdown=given.max_drawdown,
        losses=given.cooldown.losses if given.cooldown else None,
        cool_down=given.cooldown.bars * period if given.cooldown else 0,
        max_leverage=given.max_leverage,
        exposure=Exposure(
            **{name: cap(getattr(given, name)) for name in names},
            volatility=cap(given.max_volatility),
            correlated_at=given.correlated.threshold if given.correlated else 0.7,
            tail=given.tail,
            window=given.window,
        ),
    )


def _orders(given: trading.Orders) -> Orders:
    return Orders(
        touch=given.touch,
        post_only=given.post_only,
        min_interval=int(given.min_interval),
        max_open=given.max_open,
        schedule=_schedule(given.schedule),
    )


def _schedule(given: Any) -> Schedule | None:
    if given is None:
        return None
    if isinstance(given, trading.Twap):
        return Schedule.twap(over=int(given.over), slices=given.slices)
    if isinstance(given, trading.Vwap):
        return Schedule.vwap(over=int(given.over), slices=given.slices, profile=int(given.profile))
    if isinstance(given, trading.Pov):
        return Schedule.pov(given.share)
    return Schedule.iceberg(given.display)


def scenarios_of(config: schema.Strategy) -> tuple[Scenario, ...]:
    """Every bad day that the stress section asks for, in the order of the report."""
    given = config.stress
    if given is None:
        return ()
    out: list[Scenario] = []
    if (crash := given.flash_crash) is not None:
        for side, shock, word in (("long", -crash.shock, "fall"), ("short", crash.shock, "jump")):
            for bars in crash.bars:
                over = "one bar" if bars == 1 else f"{bars} bars"
                out.append(
                    Scenario(
                        name=f"flash {'crash' if side == 'long' else 'melt-up'}, {over}",
                        what=f"prices {word} {crash.shock:.0%} within {over} and take back {crash.recover:.0%} of it",
                        worst=side,
                        shock=shock,
                        bars=bars,
                        recover=crash.recover,
                    )
                )
    if (crisis := given.liquidity_crisis) is not None:
        what = f"spread x {crisis.spread:g} and volume x {crisis.volume:g} for {crisis.lasts}"
        out.append(
            Scenario(
                name="liquidity crisis", what=what, worst="trading", spread=crisis.spread, volume=crisis.volume,
                lasts=int(crisis.lasts),
            )
        )  # fmt: skip
    if (broken := given.correlation_breakdown) is not None:
        for couple, what in (("rho", f"all correlations {broken.rho:g}"), ("flip", "every correlation turns its sign")):
            out.append(
                Scenario(
                    name=f"correlation breakdown, {'to one' if couple == 'rho' else 'flipped'}",
                    what=f"{what} for {broken.lasts}", couple=couple, rho=broken.rho, lasts=int(broken.lasts),
                )
            )  # fmt: skip
    for length in given.outage or ():
        out.append(
            Scenario(
                name=f"exchange outage, {length}", what=f"no order is matched for {length}", worst="held",
                outage=int(length),
            )
        )  # fmt: skip
    if (failed := given.failed_orders) is not None:
        what = f"{failed.probability:.3g} of all orders fail and go out again after {failed.retry}"
        out.append(
            Scenario(name="failed orders", what=what, worst="all", fails=failed.probability, retry=int(failed.retry))
        )
    if (stale := given.stale_feed) is not None:
        lag = "1 bar" if stale.bars == 1 else f"{stale.bars} bars"
        what = f"the feed lags {lag} behind for {stale.lasts}, until a second one takes over"
        out.append(Scenario(name="stale feed", what=what, worst="trading", stale=stale.bars, lasts=int(stale.lasts)))
    return (*out, *(_own_scenario(name, one) for name, one in given.scenarios.items()))


def _own_scenario(name: str, given: stress.Scenario) -> Scenario:
    parts = []
    if given.shock:
        of = "prices" if given.symbols is None else f"prices of {', '.join(given.symbols)}"
        back = f", {given.recover:.0%} of it back" if given.recover else ""
        parts.append(f"{of} {given.shock:+.0%} over {given.bars} bar{'s' if given.bars > 1 else ''}{back}")
    if given.spread != 1 or given.volume != 1:
        of = "" if given.symbols is None else f" of {', '.join(given.symbols)}"
        changed = [f"spread x {given.spread:g}"] if given.spread != 1 else []
        changed += [f"volume{of} x {given.volume:g}"] if given.volume != 1 else []
        parts.append(f"{', '.join(changed)} for {given.lasts}")
    if given.outage:
        parts.append(f"no order is matched for {given.outage}")
    thin = given.spread != 1 or given.volume != 1
    worst = ("long" if given.shock < 0 else "short") if given.shock else "held" if given.outage else "trading"
    return Scenario(
        name=name,
        what="; ".join(parts),
        at=None if given.at == "worst" else int(given.at),
        worst=worst,
        shock=given.shock,
        bars=given.bars,
        recover=given.recover,
        symbols=given.symbols,
        spread=given.spread,
        volume=given.volume,
        lasts=int(given.lasts) if thin else 0,
        outage=int(given.outage or 0),
    )
