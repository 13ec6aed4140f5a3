"""The page's section on ruin: how likely, with how much money, at which size, and how bad the worst days are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wfbt.report.formats import reason, show
from wfbt.report.monte_carlo import RESAMPLED, kind_name

CellOf = Callable[[Mapping[str, Any] | None, str, str], Any]

METHODS = {
    "historical": "Historical",
    "filtered": "Historical, at today's volatility",
    "cornish_fisher": "Cornish–Fisher",
    "pareto": "Pareto tail",
    "normal": "Normal",
    "student": "Student's t",
}
SIZED = (
    ("multiple_of_kelly", "ratio"),
    ("growth", "signed"),
    ("median_growth", "signed"),
    ("ruin_closed_form", "fine"),
    ("ruin_ever_closed_form", "fine"),
)
YEAR = 365
TESTS = ("coverage", "independence", "conditional")
ENDS = ("estimate", "low", "high")


def ruin_section(told: Mapping[str, Any] | None, cell: CellOf) -> dict[str, Any]:
    """What the page shows of `ruin` of result.json; empty without.  `cell(row, key, kind)` makes a number."""
    if not told:
        return {}
    kelly, tail = told["kelly"], told["tail"]
    return {
        "loss": _loss(told),
        "says": year_says(told),
        "year_worry": told["within_a_year"]["worry"],
        "years": [
            (_named(key), [cell(one, "count", "count"), cell(one, "n", "count"), *_share(one, cell)])
            for key, one in _year(told).items()
        ],
        "survival": _survival(told["survival"], cell),
        "milder": survival_milder(told),
        "kelly": kelly_says(kelly),
        "kelly_worry": kelly["worry"],
        "frontier_worry": told["frontier"]["worry"],
        "sizes": [_size(row, cell) for row in told["frontier"]["sizes"]],
        "tail": tail_says(told),
        "tail_worry": tail["worry"],
        "levels": [f"{float(level):.0%}" for level in tail["levels"]],
        "methods": _methods(tail["levels"], cell),
        "backtests": [_backtest(row, cell) for row in tail["backtests"]],
    }


def year_says(told: Mapping[str, Any]) -> str:
    """How many were ruined within a year, and how likely it may still be."""
    years = {key: one for key, one in _year(told).items() if one["high"] is not None}
    if not years:
        return f"How likely it is to lose {_loss(told)} within a year is not known."
    worst = max(years, key=lambda key: (years[key]["high"], key))
    bound = show(years[worst]["high"], "fine")
    if not any(one["count"] for one in years.values()):
        many = " to ".join(dict.fromkeys(f"{n:,}" for n in sorted(one["n"] for one in years.values())))
        return (
            f"No account lost {_loss(told)} of its start within a year on any path; with {many} paths of a kind that "
            f"leaves a probability of up to {bound}."
        )
    counts = " and ".join(f"{one['count']:,} of {one['n']:,} {words}" for words, one in _together(years))
    return (
        f"Within a year {counts} lost {_loss(told)} of their start; the highest upper bound is {bound}, of "
        f"{kind_name(worst)}."
    )


def _loss(told: Mapping[str, Any]) -> str:
    return f"{100 * told['loss']:g}%"


def _together(years: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """The most often ruined of the levels, and the account's own days."""
    levels = {key: one for key, one in years.items() if key != RESAMPLED}
    out = [("accounts on resampled days", years[RESAMPLED])] if RESAMPLED in years else []
    if levels:
        worst = max(levels, key=lambda key: (levels[key]["estimate"], levels[key]["high"], key))
        where = f"level {worst}, the worst," if levels[worst]["count"] else "each level"
        out.append((f"replayed at {where}", levels[worst]))
    return out


def _year(told: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    found = told["within_a_year"]
    return {key: found[key] for key in [*sorted(key for key in found if key.isdigit()), RESAMPLED] if key in found}


def _named(key: str) -> str:
    name = kind_name(key)
    return name[0].upper() + name[1:]


def _share(one: Mapping[str, Any], cell: CellOf) -> list[Any]:
    return [cell(one, end, "fine") for end in ENDS]


def _survival(told: Mapping[str, Any], cell: CellOf) -> dict[str, Any]:
    account, curves = told["account"], told["curves"]
    days = [point["days"] for point in curves[0]["points"]]
    fixed = account["fixed_cost_a_day"]
    rows = []
    for curve in curves:
        cells = []
        for point in curve["points"]:
            one = point["survived"] or {"reasons": dict.fromkeys(ENDS, reason(point, "survived"))}
            cells.append((cell(one, "estimate", "fine"), cell(one, "low", "fine")))
        ends = [cell(curve, "missed", "percent"), cell(curve, "median_at_end", "money")]
        rows.append((show(curve["capital"], "money"), cells, ends))
    return {
        "days": days,
        "rows": rows,
        "says": survival_says(curves),
        "worry": told["worry"],
        "terms": (
            f"The smallest order is worth {show(account['min_order'], 'money')}, and an account pays "
            f"{show(fixed, 'money') if fixed else 'nothing'} a day whatever it does"
        ),
    }


def survival_says(curves: Sequence[Mapping[str, Any]]) -> str:
    """Which accounts lived for how long."""
    last = [(curve, point) for curve in curves for point in curve["points"][-1:] if point["survived"] is not None]
    if not last:
        return "How long accounts of other sizes live is not known."
    days, n = last[0][1]["days"], last[0][1]["survived"]["n"]
    weakest, point = min(last, key=lambda pair: pair[1]["survived"]["estimate"])
    lived = point["survived"]["estimate"]
    if lived == 1.0:
        return (
            f"In none of {n:,} resamples was an account of any size ruined within {days} days, so the curves lie on "
            f"each other at 100% and only the lower bound of {show(point['survived']['low'], 'fine')} tells anything."
        )
    return (
        f"Of accounts that begin with {show(weakest['capital'], 'money')}, those that live shortest, "
        f"{show(lived, 'fine')} were still alive after {days} days."
    )


def survival_milder(told: Mapping[str, Any]) -> str:
    """That accounts of every size live longer than the account's own days say; nothing where they do not."""
    own = told["within_a_year"][RESAMPLED]
    lows = [
        point["survived"]["low"]
        for curve in told["survival"]["curves"]
        for point in curve["points"]
        if point["days"] == YEAR and point["survived"] is not None
    ]
    if own["low"] is None or not lows or own["low"] <= 1.0 - min(lows):
        return ""
    return (
        f"These accounts live longer than the days they follow, of which {show(own['estimate'], 'fine')} end in ruin: "
        "they leave out orders that are too small, and with them losses."
    )


def kelly_says(told: Mapping[str, Any]) -> str:
    """Kelly's size with its interval, and what the account grows at the size traded."""
    best, mu = told["fraction"], told["mu"]
    drift = (
        f"The days make {show(mu['estimate'], 'signed')} a year on average (95% interval {show(mu['low'], 'signed')} "
        f"to {show(mu['high'], 'signed')}) with a volatility of {show(told['sigma'], 'percent')}"
    )
    if best["estimate"] <= 0.0:
        return f"{drift}, so Kelly's size is none at all, and the frontier shows how fast larger sizes lose."
    return (
        f"{drift}, so Kelly's size is {show(best['estimate'], 'ratio')} times the one traded (95% interval "
        f"{show(best['low'], 'ratio')} to {show(best['high'], 'ratio')}); its log growth would be "
        f"{show(told['growth'], 'signed')} a year, and that of the size traded is "
        f"{show(told['growth_as_traded'], 'signed')}."
    )


def _size(row: Mapping[str, Any], cell: CellOf) -> tuple[str, list[Any], bool]:
    """A line of the frontier; the last says whether it is the size traded."""
    cells = [cell(row, key, kind) for key, kind in SIZED]
    cells += [cell(row["ruin"], "estimate", "fine"), cell(row["ruin"], "high", "fine")]
    return f"{row['size']:g}×", [*cells, cell(row, "depth_p95", "percent")], row["size"] == 1.0


def tail_says(told: Mapping[str, Any]) -> str:
    """The worst day in a hundred by the account's own days."""
    rows = {row["method"]: row for row in told["tail"]["levels"].get("0.99", [])}
    own = rows.get("historical", {})
    if own.get("var") is None:
        return f"The worst day in a hundred is not known: {reason(own, 'var')}."
    return (
        f"One day in a hundred of its {told['days_of_evidence']:,} lost {show(own['var'], 'fine')} of equity or more, "
        f"{show(own['es'], 'fine')} on average."
    )


def _methods(levels: Mapping[str, Sequence[Mapping[str, Any]]], cell: CellOf) -> list[tuple[str, list[Any]]]:
    """A line for each method: VaR and ES at each level."""
    rows: dict[str, list[Any]] = {}
    for told in levels.values():
        for row in told:
            rows.setdefault(row["method"], []).extend(cell(row, key, "fine") for key in ("var", "es"))
    return [(METHODS.get(name, name), cells) for name, cells in rows.items()]


def _backtest(row: Mapping[str, Any], cell: CellOf) -> tuple[str, list[Any]]:
    """How often a forecast was exceeded, and p of each test of that."""
    cells = [cell(row, "n", "count"), cell(row, "exceedances", "count"), cell(row, "expected", "bps")]
    for test in TESTS:
        cells.append(cell(row[test] or {"reasons": {"p": reason(row, test)}}, "p", "precise"))
    name = METHODS.get(row["method"], row["method"])
    return f"{name}, {row['level']:.0%}", cells
