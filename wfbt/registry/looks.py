"""A look: one return series whose result out of sample was seen.

What makes two looks one is who looked (the family), at what (data and window) and with what (candidate and code); when
and how well are no part of it.  Two looks saw the same days when their windows overlap on the same data, or when they
have a week of the same closes in common: data files grow by a day and are cut otherwise, and a digest of the whole
would not know them again.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

from wfbt.errors import TrialsError
from wfbt.registry import provenance

if TYPE_CHECKING:  # a ledger is read without the kernels, and where nothing is computed without numpy
    from wfbt.data.market import Bars, Market
    from wfbt.validation.walk_forward import WalkForward

OUT_OF_SAMPLE, IN_FOLDS = "out_of_sample", "in_folds"
"""Kinds: a result on judged rows was seen; candidates were tried on training rows alone."""

UNMOVED = ("name", "report", "mandate", "leaks", "robustness", "stress", "capacity", "decay", "monte_carlo")
"""Sections that name, draw or judge a return series and cannot move it."""

_FAMILY, _HEX = re.compile(r"[A-Za-z0-9._-]{1,64}"), re.compile(r"[0-9a-f]{1,64}")


class Judged(Protocol):
    """A family and the days it was judged on."""

    @property
    def family(self) -> str: ...
    @property
    def data(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def weeks(self) -> frozenset[str]: ...


def same_days(one: Judged, other: Judged) -> bool:
    """Whether both windows hold the same days of the same market."""
    if one.data == other.data and one.start < other.end and other.start < one.end:
        return True
    return not one.weeks.isdisjoint(other.weeks)


def check_judged(one: Judged, what: str, hashes: tuple[str, ...], counts: tuple[str, ...]) -> None:
    """TrialsError unless the family is a name, `hashes` are fields of hex digits and `counts` whole numbers >= 0."""
    if not isinstance(one.family, str) or not _FAMILY.fullmatch(one.family):
        raise TrialsError(f"{what}'s family must be 1 to 64 letters, digits, . _ or -, was {one.family!r}")
    for name in hashes:
        value = getattr(one, name)
        if not isinstance(value, str) or not _HEX.fullmatch(value):
            raise TrialsError(f"{what}'s {name} must be hex digits, was {value!r}")
    if not all(isinstance(mark, str) and _HEX.fullmatch(mark) for mark in one.weeks):
        raise TrialsError(f"{what}'s weeks must be marks of hex digits")
    for name in counts:
        value = getattr(one, name)
        if type(value) is not int or value < 0:
            raise TrialsError(f"{what}'s {name} must be a whole number >= 0, was {value!r}")
    if one.start >= one.end:
        raise TrialsError(f"{what}'s window must end after it starts, was {one.start} to {one.end}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One return series, seen.

    Attributes
    ----------
    family : str
        Name of the strategy.
    candidate : str
        sha256 of the resolved strategy and its seed, without its name, its places and what cannot move the series.
    code : str
        sha256 of the rules and of wfbt's own source.
    data : str
        Digest of the whole market.
    start, end : int
        The judged rows: open of the first and close of the last, ns UTC.
    weeks : frozenset of str
        Marks of the whole weeks of closes inside the window, symbol by symbol: see `week_marks`.
    n : int
        Returns observed.
    sharpe : float or None
        Per observation; None where it does not exist.
    candidates : int
        How many were tried inside each fold, the losers included.
    run : str
        Id of the run that looked first.
    kind : str
        "out_of_sample" or "in_folds"; only the first is counted as a look.
    """

    family: str
    candidate: str
    code: str
    data: str
    start: int
    end: int
    weeks: frozenset[str]
    n: int
    sharpe: float | None
    candidates: int
    run: str
    kind: str = OUT_OF_SAMPLE

    def __post_init__(self) -> None:
        check_judged(self, "a look", ("candidate", "code", "data", "run"), ("start", "end", "n", "candidates"))
        if self.sharpe is not None and not (isinstance(self.sharpe, float) and math.isfinite(self.sharpe)):
            raise TrialsError(f"a look's sharpe must be a number or None, was {self.sharpe!r}")
        if self.kind not in (OUT_OF_SAMPLE, IN_FOLDS):
            raise TrialsError(f"a look's kind must be {OUT_OF_SAMPLE} or {IN_FOLDS}, was {self.kind!r}")

    @property
    def identity(self) -> str:
        """What two entries of one look have in common."""
        parts = (self.kind, self.family, self.candidate, self.code, self.data, self.start, self.end)
        return provenance.sha256(json.dumps(parts).encode())

    def saw_days_of(self, other: Judged) -> bool:
        """Whether both windows hold the same days of the same market."""
        return same_days(self, other)

    def to_text(self, weeks: str) -> str:
        """Canonical JSON, with `weeks` (their key) in place of the marks."""
        return json.dumps(self.to_dict() | {"weeks": weeks}, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def to_dict(self) -> dict[str, Any]:
        """All but the marks."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "weeks"}


def week_marks(market: Market, start: int, end: int) -> frozenset[str]:
    """A mark for each week from Monday to Sunday UTC that lies wholly in [start, end) ns, of each symbol.

    A mark hashes the last close of each day.  It knows no symbol's name, no bar period and no column but the close, so
    the same prices are known again as bars of another length, under another name, beside other data and in a file
    that has grown.  A week of fewer than two closes, or of one price throughout, tells markets apart too badly.
    """
    return frozenset(mark for one in market.instruments for mark in _marks(one.bars, start, end))


def _marks(bars: Bars, start: int, end: int) -> list[str]:
    import numpy as np

    from wfbt.data.market import DAY

    # Days since 1970-01-01, a Thursday; a close at midnight belongs to the day before it.
    first, last = -(-(start + 3 * DAY) // (7 * DAY)), (end + 3 * DAY) // (7 * DAY)
    day = (bars.close_ts - 1) // DAY
    week = (day + 3) // 7
    inside = np.flatnonzero((week >= first) & (week < last))
    inside = inside[np.append(day[inside][1:] != day[inside][:-1], True)] if len(inside) else inside
    marks = []
    for block in np.split(inside, np.flatnonzero(np.diff(week[inside])) + 1):
        closes = bars.close[block]
        if len(block) < 2 or (closes == closes[0]).all():
            continue
        told = np.stack([day[block].astype("<i8").view("<f8"), closes.astype("<f8")]).tobytes()
        marks.append(hashlib.sha256(told).hexdigest()[:16])
    return marks


def look_of(
    run_id: str, identity: Mapping[str, Any], market: Market, walk: WalkForward, result: Mapping[str, Any]
) -> Look:
    """The one look of a run: its stitched series over all its test rows.

    `identity` holds what the run id hashes, `result` what result.json tells.
    """
    rows = [part for one in walk.folds for part in one.fold.test]
    close = walk.decided.deck.close_ts
    start = int(close[min(part.start for part in rows)]) - walk.decided.deck.period
    end = int(close[max(part.stop for part in rows) - 1])
    oos = result["oos"]
    return Look(
        family=result["name"],
        candidate=candidate_hash(identity["config"]),
        code=_hash({"rule": identity["rule"], "source": identity["source"]}),
        data=market.digest,
        start=start,
        end=end,
        weeks=week_marks(market, start, end),
        n=oos["days"],
        sharpe=None if oos["sharpe"] is None else oos["sharpe"] / math.sqrt(oos["periods_per_year"]),
        candidates=max(fold["candidates"] for fold in result["folds"]),
        run=run_id,
    )


def cell_looks(look: Look, identity: Mapping[str, Any], result: Mapping[str, Any]) -> list[Look]:
    """The looks of a matrix of window lengths: each pair's series was seen on the days of `look`.

    A run of its own with a pair's lengths would be another look, as its folds begin elsewhere.
    """
    config, year = _moving(identity["config"]), result["oos"]["periods_per_year"]
    return [
        replace(
            look,
            candidate=_hash(config | {"folds": config["folds"] | {"pair": [pair["train"], pair["test"]]}}),
            n=pair["days"],
            sharpe=None if pair["sharpe"] is None else pair["sharpe"] / math.sqrt(year),
        )
        for pair in (result.get("matrix") or {"pairs": ()})["pairs"]
    ]


def candidate_hash(config: Mapping[str, Any]) -> str:
    """`candidate` of the look that a run of this resolved strategy takes."""
    return _hash(_moving(config))


def strategy_hash(config: Mapping[str, Any]) -> str:
    """Of a resolved strategy whatever its seed: luck that was drawn again is no other strategy."""
    return _hash({key: value for key, value in _moving(config).items() if key != "seed"})


def _moving(config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a strategy can move its series; a matrix is walked beside it."""
    config = {key: value for key, value in config.items() if key not in UNMOVED}
    return config | {"folds": {key: value for key, value in config["folds"].items() if key != "matrix"}}


def _hash(parts: Mapping[str, Any]) -> str:
    return provenance.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str).encode())
