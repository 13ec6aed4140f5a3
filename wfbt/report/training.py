"""What was trained, as `wfbt train` prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wfbt.report.formats import MISSING


def trained_table(artefacts: Sequence[Mapping[str, Any]]) -> str:
    """One line a window: its rows, the scores of its seeds on the rows kept back, and the folder."""
    rows = [["window", "trained on", "kept back", "seeds", "score, worst to best", "folder"]]
    for one in artefacts:
        scores = sorted(seed["best"] for seed in one["seeds"] if seed["best"] is not None)
        rows.append(
            [
                one["window"],
                _span(one["training"]),
                _span(one["validation"]) if one["validation"] else MISSING,
                str(len(one["seeds"])),
                f"{scores[0]:.2f} to {scores[-1]:.2f}" if scores else MISSING,
                one["folder"],
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    sections = dict.fromkeys(one["section"] for one in artefacts)
    return "\n".join([f"{', '.join(sections)}", "", *lines])


def _span(window: Mapping[str, str]) -> str:
    return f"{window['start'][:10]} to {window['end'][:10]}"
