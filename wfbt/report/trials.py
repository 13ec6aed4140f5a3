"""How often was this tried?  On the page of a run, in its summary, and as the tables of `wfbt trials`.

Sharpe ratios of the tables are per observation, as the ledger keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wfbt.report.formats import MISSING, reason


def tried(result: Mapping[str, Any]) -> dict[str, Any]:
    """Counts with their words, and what they mean."""
    told = result.get("trials")
    if told is None:
        return {"counts": [], "meaning": [f"Not counted: {reason(result, 'trials')}."]}
    return {
        "counts": [
            ("Looks at these out-of-sample days, by anyone", f"{told['looks_by_anyone']:,}"),
            ("Looks by this family, at any data", f"{told['looks_by_family']:,}"),
            ("Candidates tried inside the folds of the looks at these days", f"{told['candidates_in_folds']:,}"),
        ],
        "meaning": [
            looked(told),
            "What a fold tried and dropped costs nothing here: it was chosen on training rows. A run that was looked "
            "at and then changed is a choice made on the judged days, and the best of many looks is good by luck.",
            f"Counted in {told['file']} up to the first entry of this run; what was tried outside wfbt run is missing.",
        ],
    }


def looked(told: Mapping[str, Any]) -> str:
    """One sentence on what the counts do to this result."""
    before = told["looks_by_anyone"] - 1
    if not before:
        return "This is the first look at these out-of-sample days that the trial ledger knows of."
    times = "once" if before == 1 else f"{before:,} times"
    return (
        f"These out-of-sample days had been looked at {times} before: judge this result as the best of {before + 1:,}, "
        "not as the only one."
    )


def families_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a family, as `wfbt trials` prints it."""
    table = [["family", "looks", "others there", "attempts", "first window", "last window", "worst", "best Sharpe"]]
    for row in rows:
        first, last = (" to ".join(row[key]) for key in ("first_window", "last_window"))
        table.append(
            [
                row["family"],
                f"{row['looks']:,}",
                f"{row['others_at_these_days']:,}",
                f"{row['attempts']:,}",
                first,
                last,
                _ratio(row["worst_sharpe"]),
                _ratio(row["best_sharpe"]),
            ]
        )
    return _aligned(table, left={0, 4, 5})


def looks_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a look of one family."""
    table = [["look", "by family", "by anyone", "run", "window", "returns", "Sharpe", "candidates", "entry"]]
    for number, row in enumerate(rows, start=1):
        table.append(
            [
                f"{number:,}",
                f"{row['looks_by_family']:,}",
                f"{row['looks_by_anyone']:,}",
                row["run"],
                " to ".join(row["window"]),
                f"{row['n']:,}",
                _ratio(row["sharpe"]),
                f"{row['candidates']:,}",
                row["entry"][:12],
            ]
        )
    return _aligned(table, left={3, 4, 8})


def attempts_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line an attempt of one family at the gate."""
    table = [["attempt", "series", "run", "seed", "criteria", "model", "window", "entry"]]
    for row in rows:
        table.append(
            [
                f"{row['attempt']:,}",
                f"{row['series']:,}",
                row["run"],
                str(row["seed"]),
                row["criteria"][:12],
                MISSING if row["model"] is None else row["model"][:12],
                " to ".join(row["window"]),
                row["entry"][:12],
            ]
        )
    return _aligned(table, left={2, 4, 5, 6, 7})


def _ratio(value: float | None) -> str:
    return MISSING if value is None else f"{value:,.4f}"


def _aligned(rows: list[list[str]], left: set[int]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
