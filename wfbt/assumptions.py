"""What the numbers of a run rest on, in words."""

from __future__ import annotations

from typing import Any

from wfbt.config.schema import Costs, Limits, Strategy
from wfbt.config.trading import Cap, Orders, Participation
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.walk_forward import Study


def assumptions(config: Strategy, study: Study | Portfolio) -> list[dict[str, Any]]:
    """What the numbers rest on, one line each."""
    costs, latency = config.costs, config.latency
    impact = "none"
    if costs.impact:
        impact = (
            f"({costs.impact.temporary:g} + {costs.impact.permanent:g})·σ·√(order/volume) over {costs.impact.horizon}"
        )
    lines = [
        ("fills", "next tradable price", "a decision at a bar's close fills no earlier than the next bar's open"),
        (
            "fees",
            _fees(costs),
            "take-profits and limit orders that rest are makers, all else takes",
        ),
        ("spread", f"{costs.half_spread_bps:g} bps half", "paid by every taker fill"),
        ("impact", impact, "square-root law; a symbol's own coefficient replaces the first number"),
        ("latency", f"{_delay(latency.order)} order, {_delay(latency.feed)} feed", "moves the fill inside its bar"),
        ("intrabar", "stop before target", "a bar that touches both is a loss; a gap fills at the open"),
        ("exits", "0 latency", "stops and targets rest at the venue"),
        ("orders", _worked(config.orders), "a limit fills where the price goes through it, as maker"),
        ("size", _cut(costs.participation), "what a cap cuts stays at work; exits are under the caps too"),
        ("margin", _margin(config), "checked at the mark's worst price of every row"),
        *_forecast(config),
        ("limits", _exposure(config.limits), "judged when an order is sent; each act is in events.parquet"),
        (
            "benchmark",
            "buy and hold",
            "the account is in the coin, so to hold it is to hold no contract"
            if any(one.contract.inverse for one in config.data.symbols.values())
            else "same cash and trading costs, equal parts as each is first traded; no funding, no limits, no caps",
        ),
        ("year", f"{study.deck.calendar.periods_per_year:g} days", "inferred from the bars"),
    ]
    return [{"key": key, "value": value, "note": note} for key, value, note in lines]


def _forecast(config: Strategy) -> list[tuple[str, str, str]]:
    """How volatility is forecast, and what follows it."""
    given = config.volatility
    if given is None:
        return []
    law = f", {given.dist} innovations" if given.dist else ""
    followers = ["sizes"] if given.sizing else []
    followers += [name for name in ("stop", "take", "trail") if getattr(config.exits, f"{name}_vol") is not None]
    use = f"; {', '.join(followers)} by it" if followers else ""
    note = f"fitted on each fold's training rows alone{use}"
    return [("volatility", f"{given.model}{law}, {given.horizon} ahead", note)]


def _fees(costs: Costs) -> str:
    if not costs.fee_tiers:
        return f"{costs.taker_bps:g} bps taker, {costs.maker_bps:g} bps maker"
    first, last = costs.fee_tiers[0], costs.fee_tiers[-1]
    return (
        f"{first.taker_bps:g} to {last.taker_bps:g} bps taker, {first.maker_bps:g} to {last.maker_bps:g} bps maker, "
        "by the value of 30 days"
    )


def _worked(orders: Orders) -> str:
    said = [f"at least {orders.min_interval} apart"] if orders.min_interval else []
    said += [f"at most {orders.max_open} of a symbol open"] if orders.max_open is not None else []
    said += ["post-only"] if orders.post_only else []
    said += [f"{orders.touch:.0%} of the volume at a touch"] if orders.touch else []
    if orders.schedule is not None:
        terms = ", ".join(f"{k} {v}" for k, v in orders.schedule.model_dump().items() if k != "model")
        said.append(f"{orders.schedule.model} ({terms})")
    return ", ".join(said) or "at once and whole"


def _cut(given: Participation | None) -> str:
    caps = [(given.order, "a row's volume by order"), (given.hour, "an hour's by symbol")] if given else []
    return " and ".join(f"{share:.3g} of {of}" for share, of in caps if share is not None) or "orders fill whole"


def _margin(config: Strategy) -> str:
    tiered = [name for name, given in config.data.symbols.items() if given.tiers]
    if len(tiered) == len(config.data.symbols):
        return f"{config.account.margin}, maintenance by notional"
    rest = f"{config.account.margin}, {config.account.maintenance:.3g} maintenance"
    return f"{rest}, by notional for {', '.join(tiered)}" if tiered else rest


def _exposure(limits: Limits) -> str:
    given = {name: one for name in type(limits).model_fields if isinstance(one := getattr(limits, name), Cap)}
    return ", ".join(f"{name} {one.most:g} ({one.act})" for name, one in given.items()) or "none on exposure"


def _delay(given: Any) -> str:
    fields = {name: getattr(given, name) for name in type(given).model_fields if name != "model"}
    if given.model == "constant":
        return str(given.value)
    if given.model == "uniform":
        return f"{given.low} to {given.high}"
    if given.model == "lognormal":
        return f"lognormal around {given.median}"
    return f"{given.model} ({len(fields['samples'] or ()) or fields['file']})"
