"""Could this be luck?  Each statistic with its inputs, and what it means to a reader who must not be flattered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from wfbt.report.formats import reason
from wfbt.report.worry import worry

if TYPE_CHECKING:
    from wfbt.report.page import Cell, Notes

Inputs = Mapping[str, Any]

RARE = 0.001
CONFIDENT = 0.95
EVEN = 0.5
"""Where the best candidate of one half of the days does no better than any in the other."""
BEYOND_LUCK = 2.58
"""z that a worthless strategy reaches once in 200 tries, one-sided."""


@dataclass(frozen=True, slots=True)
class Row:
    """One statistic; where the number is missing `meaning` says why."""

    name: str
    cell: Cell
    inputs: str
    meaning: str


def luck(result: Mapping[str, Any], notes: Notes) -> list[Row]:
    """Rows of the section, none where nothing was evaluated."""
    told = result.get("overfitting")
    if not told:
        return []
    rows = [_row(told, key, notes) for key in WORDS if key in told and not (told.get("sleeves") and key in OF_A_SEARCH)]
    for sleeve, own in (told.get("sleeves") or {}).items():
        rows += [_row(own, key, notes, f"{sleeve}: ") for key in OF_A_SEARCH]
    return rows + _folds(told.get("fold_concentration") or {}, notes)


def luck_told(result: Mapping[str, Any]) -> tuple[str, str] | None:
    """One sentence on how far from luck the result is, and one on what of it would worry; None without numbers."""
    told = result.get("overfitting")
    if not told:
        return None
    z, deflated, needed = told.get("sharpe_z"), told.get("dsr"), told.get("min_track_record")
    if z is None:
        said = f"How far the Sharpe ratio is from luck is not known: {reason(told, 'sharpe_z')}."
    else:
        said = f"The Sharpe ratio lies {z:.2f} standard errors from 0"
        said += (
            "." if deflated is None else f"; the deflated Sharpe ratio, after the looks counted, is {chance(deflated)}."
        )
    found = []
    if z is None:
        found.append("what cannot be measured against luck may be luck")
    elif z <= 0:
        found.append("nothing in it points to skill")
    elif z < BEYOND_LUCK:
        found.append(f"luck alone gets beyond {z:.2f} more often than once in 200 tries")
    if deflated is not None and deflated < CONFIDENT:
        found.append(f"a deflated Sharpe ratio of {chance(deflated)} is short of {CONFIDENT:.0%}")
    days = (((told.get("inputs") or {}).get("min_track_record")) or {}).get("n")
    if needed is not None and days is not None and needed > days:
        found.append(f"its record of {days:,} days is shorter than the {needed:,.0f} that it needs")
    if told.get("pbo") is not None and told["pbo"] >= EVEN:
        found.append(f"choosing the best candidate was worth nothing in {chance(told['pbo'])} of the halves")
    return said, worry(found, "what was tested speaks against luck, as far as the looks at these days are all counted")


def chance(value: float) -> str:
    """A probability as a percentage that is never rounded to certainty."""
    if value < RARE:
        return f"< {RARE:.1%}"
    return f"> {1 - RARE:.1%}" if value > 1 - RARE else f"{value:.1%}"


def _row(told: Mapping[str, Any], key: str, notes: Notes, before: str = "") -> Row:
    name, kind, inputs, meaning = WORDS[key]
    cell, given = notes.cell(told, key, kind), (told.get("inputs") or {}).get(key) or {}
    value = told.get(key)
    if value is not None and kind == "chance":
        cell = replace(cell, text=chance(value))
    said = " · ".join(_inputs(given, inputs))
    return Row(before + name, cell, said, cell.why if value is None else meaning(value, given))


def _inputs(given: Inputs, keys: Iterable[str]) -> Iterable[str]:
    for key in keys:
        if given.get(key) is not None:
            words, written = INPUTS[key]
            yield f"{words} {written.format(given[key])}"


def _folds(told: Mapping[str, Any], notes: Notes) -> list[Row]:
    if not told:
        return []
    shares, largest, left, even = (told.get(key) for key in ("shares", "largest", "without_best", "herfindahl"))
    said = without = spread = ""
    if largest is not None:
        said = f"Spread evenly over {len(shares or ())} folds it would be {1 / len(shares or (1,)):.0%}."
        said += " It is more than all of it: the others lost together." if largest > 1 else ""
    if left is not None:
        without = f"Without its best fold it would have {'made' if left > 0 else 'lost'} {abs(left):.1%}."
    if even is not None:
        spread = f"As if {1 / even:.1f} winning folds had earned equal parts."
    cells = [
        ("Share of the best fold in the log profit", notes.cell(told, "largest", "percent"), said),
        ("Return without the best fold", notes.cell(told, "without_best", "signed"), without),
        ("Concentration over folds (Herfindahl)", notes.cell(told, "herfindahl", "ratio"), spread),
    ]
    return [Row(name, cell, "", cell.why or meaning) for name, cell, meaning in cells]


def _psr(value: float, given: Inputs) -> str:
    return (
        f"Of strategies whose true Sharpe ratio is 0, {chance(value)} would have looked worse over these days, if one "
        "day knew nothing of the day before and nothing else had been tried."
    )


def _dsr(value: float, given: Inputs) -> str:
    if given["trials"] == 1:
        return (
            "The same number: one look at these days is counted. Every further look, also at another version of the "
            "strategy, lowers it."
        )
    return (
        f"The same against the best of {given['trials']:,} worthless strategies, from whom a Sharpe ratio of "
        f"{given['benchmark']:.3f} a day is to be expected."
    )


def _z(value: float, given: Inputs) -> str:
    side = "exceeds" if value >= BEYOND_LUCK else "falls short of"
    said = f"It {side} {BEYOND_LUCK}, a value that luck alone reaches once in 200 tries."
    if given["factor"] > 1:
        said += f" Days lean on each other: they weigh as if there were {given['n'] / given['factor']:,.0f} of them."
    return said if value > 0 else "It points the wrong way, so there is no evidence of skill."


def _alpha(value: float, given: Inputs) -> str:
    said = f"What is left after {given['beta']:.2f} of buy-and-hold is taken off, in standard errors."
    return said + (
        " It is a loss." if value <= 0 else f" Below {BEYOND_LUCK} luck is not excluded." if value < BEYOND_LUCK else ""
    )


def _lo(value: float, given: Inputs) -> str:
    return f"The annual Sharpe ratio when {given['lags']} autocorrelations count: for comparing with other strategies."


def _track(value: float, given: Inputs) -> str:
    enough = "there are" if value <= given["n"] else "there are only"
    return (
        f"Days until a Sharpe ratio like this is distinct from 0 at {given['confidence']:.0%}, with nothing else "
        f"tried; {enough} {given['n']:,}."
    )


def _backtest(value: float, given: Inputs) -> str:
    short = "this one is shorter" if given["years"] < value else "this one is longer"
    return (
        f"Years of record below which the best of {given['trials']:,} worthless strategies is expected to do as well; "
        f"{short}, {given['years']:.1f}."
    )


def _training(value: float, given: Inputs) -> str:
    said = (
        f"Years of training below which the best of {given['candidates']:,} worthless candidates, were they "
        f"independent, is expected to show a Sharpe ratio of {given['sharpe']:g}. The folds train on "
        f"{given['years']:.1f}"
    )
    return said + (": believe no number in sample." if given["years"] < value else ".")


def _pbo(value: float, given: Inputs) -> str:
    return (
        f"In so many of {given['choices']:,} ways to halve these days the best candidate of one half was no better "
        f"than the median in the other; in {chance(given['loss'])} it lost money there. Worthless candidates give "
        "about 50%, give or take 20 from run to run, and so do candidates that are all equally good."
    )


def _spa(value: float, given: Inputs) -> str:
    better = f" {given['better']} of them beat it at {given['size']:.0%}." if given["better"] else ""
    return (
        f"So often would the best of {given['candidates']:,} candidates look as good if none were better; "
        f"White's reality check says {chance(given['reality_check'])}.{better or ' None is shown to be better.'}"
    )


INPUTS: dict[str, tuple[str, str]] = {
    "n": ("days", "{:,}"),
    "sharpe": ("Sharpe a day", "{:.4f}"),
    "skew": ("skew", "{:.2f}"),
    "kurtosis": ("kurtosis", "{:.2f}"),
    "trials": ("looks", "{:,}"),
    "variance": ("variance of their Sharpe ratios", "{:.2g}"),
    "benchmark": ("against", "{:.4f}"),
    "factor": ("variance factor", "{:.2f}"),
    "lag": ("lags", "{}"),
    "lags": ("lags", "{}"),
    "q": ("days a year", "{}"),
    "beta": ("beta", "{:.2f}"),
    "confidence": ("confidence", "{:.0%}"),
    "candidates": ("candidates", "{:,}"),
    "splits": ("blocks", "{}"),
    "slope": ("slope out on in", "{:.2f}"),
    "block": ("mean block", "{} days"),
    "resamples": ("resamples", "{:,}"),
    "years": ("years", "{:.1f}"),
}
"""Words and format of an input."""

_SHAPE = ("n", "sharpe", "skew", "kurtosis")
_TESTED = ("n", "candidates", "block", "resamples")

WORDS: dict[str, tuple[str, str, tuple[str, ...], Callable[[float, Inputs], str]]] = {
    "psr": ("Probabilistic Sharpe ratio", "chance", (*_SHAPE, "benchmark"), _psr),
    "dsr": ("Deflated Sharpe ratio", "chance", (*_SHAPE, "trials", "variance", "benchmark"), _dsr),
    "sharpe_z": ("z of the Sharpe ratio", "ratio", ("n", "factor", "lag"), _z),
    "alpha_z": ("z of alpha over buy-and-hold", "ratio", ("n", "beta", "factor", "lag"), _alpha),
    "sharpe_autocorrelated": ("Sharpe corrected for autocorrelation", "ratio", ("n", "q", "lags"), _lo),
    "min_track_record": ("Minimum track record (days)", "count", (*_SHAPE, "confidence"), _track),
    "min_backtest_years": ("Minimum backtest (years)", "ratio", ("trials", "years"), _backtest),
    "min_training_years": ("Minimum training (years)", "ratio", ("candidates", "years"), _training),
    "pbo": ("Probability of backtest overfitting", "chance", ("n", "candidates", "splits", "slope"), _pbo),
    "spa_p": ("Best candidate against cash, p", "chance", _TESTED, _spa),
    "spa_p_buy_hold": ("Best candidate against buy-and-hold, p", "chance", _TESTED, _spa),
}
"""Name, kind, inputs shown and meaning of each statistic."""

OF_A_SEARCH = ("pbo", "spa_p", "spa_p_buy_hold")
