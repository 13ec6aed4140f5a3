"""What a comparison with new data found: for a terminal, and as a page in one file."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wfbt.errors import ConfigError
from wfbt.report.artifacts import write_json, write_text
from wfbt.report.formats import MISSING, listing, moment, params

WIDTH = 100
MOST = 10
"""Columns of a sheet that a terminal shows; the page and the JSON have them all."""
STATISTICS = ("psi", "ks", "wasserstein")
COLUMNS = ("PSI", "KS", "W", "p alone", "p")
TITLES = {
    "market": "What the market did",
    "features": "What the networks observe",
    "actions": "What the policy does",
    "returns": "What it earns",
}
VERDICTS = {
    "drifted": "Something has changed.",
    "no evidence": "No evidence that anything has changed.",
    "too little data": "Too little data to say.",
}


def drift_sentences(told: Mapping[str, Any]) -> list[str]:
    """What to make of it, the verdict first."""
    new = told["new"]
    out = [VERDICTS[told["verdict"]]]
    if told["sheets"] is None:
        return [*out, f"{told['reasons']['sheets'].capitalize()}."]
    for sheet in told["sheets"]:
        moved = list(dict.fromkeys(line["column"] for line in sheet["lines"] if line["verdict"] == "drifted"))
        if moved:
            out.append(f"{TITLES[sheet['name']]}: {listing(moved)} {'has' if len(moved) == 1 else 'have'} drifted.")
        elif sheet["verdict"] == "too little data":
            out.append(f"{TITLES[sheet['name']]} could not be judged: {sheet['reasons']['verdict']}.")
    out.append(_falls(told["falls"]))
    level, days = f"{told['level']:.3g}", f"{new['days']:,.0f}"
    out.append(
        f"All of it together cries wolf with a chance of {level} where nothing has changed in these {days} days; asked "
        "again with more data, the tables take that chance again, and the watch on returns does not."
    )
    return out


def _falls(falls: Mapping[str, Any]) -> str:
    if falls["threshold"] is None:
        return f"Whether returns have fallen could not be watched: {falls['reasons']['threshold']}."
    if falls["observed"] == 0:
        return f"Whether returns have fallen could not be watched: {falls['reasons']['highest']}."
    late = (
        f"an alarm comes after {falls['delay']:,.0f} days on average"
        if falls["delay"] is not None
        else f"an alarm comes after some {falls['delay_of_normals']:,.0f} days, were they independent normals"
    )
    built = (
        f"Built for a fall of the annual Sharpe ratio by {falls['fall']:g}: {late}, and within {falls['horizon']} days "
        f"with a chance of {falls['detected']:.0%}; a false one in that time with {falls['false_alarm']:.2%}."
    )
    if falls["alarm"] is not None:
        return f"Daily returns have fallen: the sum reached its threshold on day {falls['alarm'] + 1}. {built}"
    share = falls["highest"] / falls["threshold"]
    return f"Daily returns of {falls['observed']} days have not set off the alarm ({share:.0%} of its height). {built}"


def drift_summary(told: Mapping[str, Any]) -> str:
    """The comparison as plain text; no line is wider than `WIDTH`."""
    new = told["new"]
    blocks = [
        f"{told['run']} against {moment(new['start'])} to {moment(new['end'])} ({new['days']:,.1f} days)",
        "\n".join(textwrap.fill(one, WIDTH) for one in drift_sentences(told)),
        *(_sheet(one) for one in told["sheets"] or ()),
        _habits(told["habits"] or {}),
        "\n".join(textwrap.fill(f"note: {note}", WIDTH, subsequent_indent="      ") for note in told["notes"]),
    ]
    return "\n\n".join(block for block in blocks if block)


def column_rows(sheet: Mapping[str, Any]) -> list[tuple[str, list[str], str, str]]:
    """A row per column, the least p first: name, its distances and the least p alone and of all, verdict, why not."""
    by_column: dict[str, list[Mapping[str, Any]]] = {}
    for line in sheet["lines"]:
        by_column.setdefault(line["column"], []).append(line)
    rows = []
    for name, lines in by_column.items():
        alone, least = (
            min((line[key] for line in lines if line[key] is not None), default=None) for key in ("p_alone", "p")
        )
        values = {line["statistic"]: line["value"] for line in lines}
        verdicts = [line["verdict"] for line in lines]
        verdict = "drifted" if "drifted" in verdicts else verdicts[0]
        why = next((line["reasons"]["p"] for line in lines if line["reasons"]), "")
        cells = [_number(one) for one in (*(values[statistic] for statistic in STATISTICS), alone, least)]
        order = (2.0, 2.0) if least is None or alone is None else (least, alone)
        rows.append((order, (name, cells, verdict, why)))
    return [row for _, row in sorted(rows, key=lambda one: one[0])]


def _sheet(sheet: Mapping[str, Any]) -> str:
    rows = column_rows(sheet)
    title = f"{TITLES[sheet['name']]}, {sheet['rows']['new']:,} rows against {sheet['rows']['reference']:,}"
    wide = max(24, min(38, max(len(name) for name, *_ in rows)))
    lines = [title, f"{'':<{wide}}" + "".join(f"{name:>9}" for name in COLUMNS) + "  verdict"]
    for name, cells, verdict, why in rows[:MOST]:
        lines.append(f"{name[:wide]:<{wide}}" + "".join(f"{cell:>9}" for cell in cells) + f"  {verdict}")
        if why:
            lines.append(textwrap.fill(why, WIDTH, initial_indent="    ", subsequent_indent="    "))
    if len(rows) > MOST:
        lines.append(f"and {len(rows) - MOST} more of no smaller p")
    return "\n".join(lines)


def habit_rows(habits: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Two rows per symbol: what it did before, and on the new data."""
    rows = []
    for symbol, both in habits.items():
        for when, name in (("reference", "judged"), ("new", "new")):
            one = both[when]
            shares = [f"{one[key]:.1%}" for key in ("long", "short", "flat")]
            rows.append((symbol, name, [*shares, *(f"{one[key]:.3f}" for key in ("weight", "turnover", "trades"))]))
    return rows


HABITS = ("long", "short", "flat", "weight", "turnover/day", "trades/day")


def _habits(habits: Mapping[str, Any]) -> str:
    if not habits:
        return ""
    lines = [f"{'':<22}" + "".join(f"{name:>13}" for name in HABITS)]
    for symbol, when, cells in habit_rows(habits):
        lines.append(f"{symbol + ' ' + when:<22}" + "".join(f"{cell:>13}" for cell in cells))
    return "\n".join(lines)


def render_drift(told: Mapping[str, Any]) -> str:
    """The page; text from files is escaped, and the same input gives the same bytes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("wfbt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text: str = environment.get_template("drift.html.j2").render(
        told=told,
        start=moment(told["new"]["start"]),
        end=moment(told["new"]["end"]),
        sentences=drift_sentences(told),
        sheets=[(TITLES[one["name"]], one, column_rows(one), _drawn(one)) for one in told["sheets"] or ()],
        habits=habit_rows(told["habits"] or {}),
        titles=HABITS,
        columns=COLUMNS,
        chosen="" if told["params"] is None else params(told["params"]),
    )
    return text


def write_drift(folder: Path, told: Mapping[str, Any], run_dir: Path) -> None:
    """drift.json and drift.html in `folder`, which is not the run's: that stays as it was written."""
    here, run = folder.resolve(), run_dir.resolve()
    if run in (here, *here.parents):
        raise ConfigError(f"--out: {folder} lies in the run folder, which stays as it was written; name another")
    write_json(folder / "drift.json", told)
    write_text(folder / "drift.html", render_drift(told))


def _drawn(sheet: Mapping[str, Any]) -> str:
    if sheet["block"] is None:
        return f"Not judged: {sheet['reasons']['p']}."
    return (
        f"{sheet['rows']['new']:,} new rows against {sheet['rows']['reference']:,} ({sheet['against']}); null from "
        f"{sheet['resamples']:,} draws in blocks of {sheet['block']:,} rows on average."
    )


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
