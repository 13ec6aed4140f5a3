"""What in the numbers of a block would worry a reader, in one sentence made of the numbers themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NO_WORRY = "Nothing here worries by itself"
GATE_RUIN = 0.01
"""The upper bound on P(ruin in a year) that the default gate holds an account to."""
REJECTED = 0.05


def paths_worry(told: Mapping[str, Any], drawdown_limit: float, replayed: bool = True) -> str:
    """Of simulated accounts (`accounts_told`), the mandate's drawdown beside them."""
    found = []
    ruin, lost = told["ruin"], told["lost_money"]
    deep = next((row["depth"] for row in told["drawdowns"] if row["percentile"] == 95.0), None)
    if deep is not None and deep > drawdown_limit:
        found.append(f"one path in twenty falls {deep:.0%} or more, beyond the mandate's {drawdown_limit:.0%}")
    if ruin["high"] is not None and ruin["high"] > GATE_RUIN:
        found.append(
            f"{ruin['estimate']:.1%} of the accounts lose {ruin['loss']:.0%}, and it may be {ruin['high']:.1%}"
            if ruin["count"]
            else f"no account loses {ruin['loss']:.0%}, but {ruin['n']:,} of them cannot exclude {ruin['high']:.1%}"
        )
    if lost["estimate"] is not None and lost["estimate"] >= 0.5:
        found.append(f"{lost['estimate']:.0%} of the paths end with less than they began with")
    if replayed and told["liquidated"]["count"]:
        found.append(f"{told['liquidated']['count']} of {told['liquidated']['n']} accounts are liquidated")
    if replayed and told.get("hold") is not None:
        own, held = told["total_return"]["p50"], told["hold"]["total_return"]["p50"]
        if own is not None and held is not None and own < held:
            found.append(f"the median path makes {own:+.0%} where buy-and-hold makes {held:+.0%}")
    return _sentence(found, "drawdowns, ruin and losses of these paths stay within what the mandate allows")


def year_worry(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Of P(ruin within a year), by what made the paths."""
    known = {name: one for name, one in told.items() if one["high"] is not None}
    if not known:
        return "Nobody knows: no path is a year long."
    name = max(known, key=lambda key: (known[key]["estimate"], known[key]["high"]))
    worst, where = known[name], "accounts on resampled days" if name == "resampled" else f"paths of level {name}"
    found = []
    if worst["estimate"] > 0.0 and worst["high"] > GATE_RUIN:
        found.append(
            f"{worst['estimate']:.1%} of {where} lose {worst['loss']:.0%} within a year, and it may be "
            f"{worst['high']:.1%}"
        )
    few = [f"{one['n']:,}" for one in known.values() if not one["count"] and one["high"] > GATE_RUIN]
    if not found and few:
        found.append(f"no path was ruined, but {few[0]} paths cannot exclude {GATE_RUIN:.0%}")
    return _sentence(
        found, f"losing {worst['loss']:.0%} within a year stays below {GATE_RUIN:.0%} wherever it was tried"
    )


def overall_worry(told: Mapping[str, str]) -> str:
    """Of all kinds of path together: the first that worries, and how many do."""
    worried = {name: text for name, text in told.items() if not text.startswith(NO_WORRY)}
    if not worried:
        return f"{NO_WORRY}: not at any level, and not in resampled days."
    name = next(iter(worried))
    where = "resampled days" if name == "resampled" else f"level {name}"
    return f"{len(worried)} of {len(told)} kinds of path worry; {where}: {worried[name]}"


def survival_worry(curves: Sequence[Mapping[str, Any]]) -> str:
    """Of accounts of other sizes."""
    found = []
    for curve in curves:
        last = next((one for one in reversed(curve["points"]) if one["survived"] is not None), None)
        name = f"of accounts of {curve['capital']:,.0f}"
        if last is not None and last["survived"]["low"] < 1.0 - GATE_RUIN:
            dead = 1.0 - last["survived"]["estimate"]
            found.append(f"{name} {dead:.1%} are ruined within {last['days']} days")
        elif curve["missed"] is not None and curve["missed"] > 0.1:
            found.append(
                f"{name} {curve['missed']:.0%} of what is to be held is not, as orders are too small to be made"
            )
    return _sentence(found[:2], "accounts of every size given live, and their orders are large enough to be made")


def kelly_worry(told: Mapping[str, Any]) -> str:
    """Of Kelly's size."""
    best = told["fraction"]
    found = []
    if best["estimate"] <= 0.0:
        found.append("the account lost money, so no size of it is worth trading")
    elif best["low"] <= 0.0:
        found.append(
            f"the size that grows fastest is {best['estimate']:.1f} times the one traded, yet the mean is so uncertain "
            f"that it may be anything from 0 to {best['high']:.1f} times"
        )
    if 0.0 < best["estimate"] < 1.0:
        found.append(f"the size traded is {1.0 / best['estimate']:.1f} times Kelly's: less would have grown faster")
    elif best["estimate"] > 0.0 and best["low"] < 1.0 <= best["estimate"] and best["low"] > 0.0:
        found.append(f"the size traded may lie beyond Kelly's, whose lower bound is {best['low']:.2f} times it")
    return _sentence(found, "even the lower bound of Kelly's size is above the size traded")


def frontier_worry(rows: Sequence[Mapping[str, Any]]) -> str:
    """Of growth and ruin by size."""
    own = min(rows, key=lambda row: abs(row["size"] - 1.0))
    found = []
    if own["ruin"]["high"] is not None and own["ruin"]["high"] > GATE_RUIN:
        found.append(f"at {own['size']:g} times the size traded up to {own['ruin']['high']:.1%} are ruined")
    first = next((row for row in rows if row["ruin"]["estimate"] and row["ruin"]["estimate"] > GATE_RUIN), None)
    if not found and first is not None:
        found.append(f"from {first['size']:g} times the size traded more than one account in a hundred is ruined")
    return _sentence(found, "ruin stays below one in a hundred at every size tried")


def tails_worry(tails: Mapping[str, Sequence[Mapping[str, Any]]], backtests: Sequence[Mapping[str, Any]]) -> str:
    """Of the tail and of how its forecasts did."""
    found = []
    rows = {one["method"]: one for one in tails["0.99"]}
    normal = rows["normal"]["es"]
    others = {name: one["es"] for name, one in rows.items() if name != "normal" and one["es"] is not None}
    if others and normal and max(others.values()) > 1.5 * normal:
        name = max(others, key=lambda key: (others[key], key))
        found.append(
            f"the worst day in a hundred loses {others[name]:.1%} on average by the {name.replace('_', ' ')} tail, "
            f"{others[name] / normal:.1f} times what a normal would say"
        )
    for one in backtests:
        if one["coverage"] is not None and one["coverage"]["p"] < REJECTED and one["exceedances"] > one["expected"]:
            found.append(
                f"losses exceeded the {one['method']} VaR at {one['level']:.0%} on {one['exceedances']} days where "
                f"{one['expected']:.1f} were to be expected"
            )
        elif one["independence"] is not None and one["independence"]["p"] < REJECTED:
            found.append(f"days beyond the {one['method']} VaR at {one['level']:.0%} come together")
    if not found and backtests and all(one["coverage"] is None for one in backtests):
        return "Nobody knows: there are too few days to test a forecast of the tail."
    return _sentence(found[:2], "the tail is no heavier than its forecasts said, as far as so few bad days can tell")


def _sentence(found: Sequence[str], otherwise: str) -> str:
    if not found:
        return f"{NO_WORRY}: {otherwise}."
    text = "; ".join(found)
    return text[0].upper() + text[1:] + "."
