"""The section on trained networks: where they come from, how far their seeds lie apart, what they have to beat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wfbt.report.formats import show
from wfbt.report.worry import worry

CellOf = Callable[[Mapping[str, Any] | None, str, str], Any]

BESIDE = (
    ("cash", "Cash"),
    ("buy_and_hold", "Buy and hold"),
    ("rule_alone", "The rule alone"),
)
COLUMNS = (
    ("sharpe", "ratio"),
    ("annual_return", "signed"),
    ("total_return", "signed"),
    ("max_drawdown", "percent"),
    ("trades", "count"),
)


def networks_section(result: Mapping[str, Any], cell: CellOf) -> dict[str, Any] | None:
    """Rows and sentences; None where no network decides."""
    models = result.get("models")
    if not models:
        return None
    seeds, beside = result.get("seeds") or {}, result.get("baselines") or {}
    rows = [("The strategy", [cell(result["oos"], key, kind) for key, kind in COLUMNS])]
    for key, words in BESIDE:
        own = beside.get(key)
        if own is not None:
            rows.append((words, [cell(own, name, kind) for name, kind in COLUMNS]))
    return {
        "models": [_model(name, one) for name, one in models.items()],
        "seeds": [
            (str(one["seed"]), [cell(one, "sharpe", "ratio"), cell(one, "total_return", "signed")])
            for one in seeds.get("each") or []
        ],
        "beside": rows,
        "told": [*_seeds_told(seeds), *_flips_told(beside.get("random"))],
        "worry": _worry(result, models, seeds, beside),
    }


def _model(name: str, one: Mapping[str, Any]) -> dict[str, str]:
    built = ", ".join(
        f"{level} {'-'.join(map(str, sizes)) if isinstance(sizes, list) else sizes}"
        for level, sizes in one["levels"].items()
    )
    until = one["validation"] or one["training"]
    return {
        "name": name,
        "path": one["path"],
        "sha256": one["sha256"][:12],
        "built": f"{one['algorithm'] or 'trained elsewhere'}, {built}",
        "sees": f"{len(one['features'])} features" + (f" and {', '.join(one['account'])}" if one["account"] else ""),
        "trained": f"{one['training']['start'][:10]} to {until['end'][:10]}",
        "provenance": one["provenance"],
        "decides": one["decides"],
    }


def _seeds_told(seeds: Mapping[str, Any]) -> list[str]:
    interval = seeds.get("interval")
    if not interval:
        return []
    middle, low, high = (
        show(value, "ratio") for value in (seeds["interquartile_mean"], interval["low"], interval["high"])
    )
    return [
        f"Over {seeds['count']} seeds and {seeds['folds']} folds the middle half of all Sharpe ratios averages "
        f"{middle}; drawing seeds anew within each fold puts it between {low} and {high} in 95 of 100 cases."
    ]


def _flips_told(flips: Mapping[str, Any] | None) -> list[str]:
    if not flips or flips["share_beaten"] is None:
        return []
    beaten = show(flips["share_beaten"], "percent")
    return [
        f"Its Sharpe ratio is above that of {beaten} of {flips['accounts']} accounts that flip a coin every "
        f"{flips['hold_bars']} bars under the same costs, sizes, exits and limits."
    ]


def _worry(
    result: Mapping[str, Any], models: Mapping[str, Any], seeds: Mapping[str, Any], beside: Mapping[str, Any]
) -> str:
    found = []
    if claimed := [name for name, one in models.items() if one["provenance"] == "claimed"]:
        found.append(
            f"what {', '.join(claimed)} was trained on is claimed by a person, and only data newer than the claim can "
            "prove it"
        )
    if seeds.get("count") == 1:
        found.append("one seed was trained, and how another would have done is unknown")
    worst, interval = seeds.get("worst"), seeds.get("interval")
    if worst and worst["sharpe"] < 0:
        found.append(f"seed {worst['seed']} lost money, with a Sharpe ratio of {show(worst['sharpe'], 'ratio')}")
    if interval and interval["low"] <= 0:
        found.append("across seeds the interval of the Sharpe ratio holds zero")
    own = result["oos"]["sharpe"]
    rule = beside.get("rule_alone")
    if rule and rule["sharpe"] is not None and own is not None and rule["sharpe"] >= own:
        found.append("the rule alone did as well without the network")
    flips = beside.get("random")
    if flips and flips["share_beaten"] is not None and flips["share_beaten"] < 0.95:
        found.append("coin flips often did as well")
    return worry(
        found, "every seed made money, the interval across seeds lies above zero, and what stands beside did worse"
    )
