"""What a run must show: criteria as a file, strict, default or research, or a file of one's own.

A criteria file holds every threshold of a verdict; its hash stands in the verdict, so nobody has to ask which rules
were applied.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError

from wfbt.config.document import canonical_json, read_file
from wfbt.config.messages import mistakes, nearest, sentence, shown, where
from wfbt.config.section import Section
from wfbt.config.values import Listed
from wfbt.errors import ConfigError
from wfbt.gate.metrics import check_metric, parse_metric

FOLDER = Path(__file__).parent / "profiles"

VERSION = 1
"""Of the criteria file's format."""

VALID_DAYS = 90

SPENT = "spend"
"""What the trial ledger calls `Criteria.spend` among the thresholds: no criterion's name."""

Operator = Literal[">=", ">", "<=", "<", "is"]


class Kind(StrEnum):
    """What it means that a criterion is not met.

    integrity   the result cannot be trusted: REFUSED
    limit       FAIL, however little was seen, unless it has an interval and that reaches the threshold
    rule        FAIL, once there is enough data and, where it has an interval, the interval excludes the threshold
    evidence    not shown yet: INCONCLUSIVE
    count       too little data, which keeps rules from failing: INCONCLUSIVE
    """

    INTEGRITY = "integrity"
    LIMIT = "limit"
    RULE = "rule"
    EVIDENCE = "evidence"
    COUNT = "count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One thing that must hold of the result.

    Attributes
    ----------
    name : str
    metric : str
        A path into result.json, or all, any, min or max of one with a *; `gate.…` and `mandate.…` hold what the gate
        computed and what the strategy promised.
    operator : str
        What the metric must be to the threshold; `is` for true and false.
    threshold : float, bool or str
        A text is a path to the number.
    kind : Kind
    why : str
        What it protects from, for the reader of the verdict.
    interval : str or None
        Path to the end of the metric's interval that is nearest to passing: where it passes, falling short is no FAIL.
    remedy : str
        What would change it; empty for the plain distance to the threshold.
    """

    name: str
    metric: str
    operator: Operator
    threshold: float | bool | str
    kind: Kind
    why: str
    interval: str | None = None
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.operator not in get_args(Operator):
            raise ConfigError(f"operator must be one of {', '.join(get_args(Operator))}, was {shown(self.operator)}")
        for path in (self.metric, self.interval, self.threshold if isinstance(self.threshold, str) else None):
            if path is not None:
                parse_metric(path)
        if isinstance(self.threshold, str) and parse_metric(self.threshold).reducer:
            raise ConfigError(f"threshold must be one number or the path to one, was {shown(self.threshold)}")
        if self.operator == "is" and parse_metric(self.metric).reducer in ("min", "max"):
            raise ConfigError(f"operator is goes with all and any, not with {self.metric}")
        if (self.operator == "is") != isinstance(self.threshold, bool):
            raise ConfigError(f"operator is goes with true or false, the others with numbers, was {self._rule()}")

    @property
    def hard(self) -> bool:
        """Whether not meeting it can be more than a lack of evidence."""
        return self.kind in (Kind.INTEGRITY, Kind.LIMIT, Kind.RULE)

    def _rule(self) -> str:
        return f"{self.operator} {shown(self.threshold)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria:
    """All that one verdict asks.

    Attributes
    ----------
    name : str
    spend : float
        See `wfbt.gate.spending`.
    criteria : tuple of Criterion
        Names are unique.
    valid_days : int
        After so many days a verdict is no longer in force: markets move on.
    """

    name: str
    spend: float
    criteria: tuple[Criterion, ...]
    valid_days: int = VALID_DAYS

    @property
    def sha256(self) -> str:
        """Of what is asked, with all that was inherited: neither comments nor the order of keys change it."""
        return hashlib.sha256(canonical_json(asdict(self))).hexdigest()

    def check(self, facts: dict[str, Any]) -> None:
        """ConfigError if a metric is unknown to `facts`: the result with `gate` and `mandate` beside it."""
        for one in self.criteria:
            for text in (one.metric, one.interval, one.threshold):
                if isinstance(text, str):
                    try:
                        check_metric(text, facts)
                    except ConfigError as error:
                        raise ConfigError(f"criterion {shown(one.name)} of {self.name}: {error}") from None


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must be of printable characters")
    return name


_Text = Annotated[str, Field(min_length=1, max_length=500)]


_Name = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_printable)]


class _Criterion(Section):
    name: _Name
    metric: _Text
    operator: Operator
    threshold: float | bool | str
    kind: Literal["integrity", "limit", "rule", "evidence", "count"]
    why: _Text
    interval: _Text | None = None
    remedy: Annotated[str, Field(max_length=500)] = ""


class _File(Section):
    version: int
    name: _Name
    extends: Literal["strict", "default", "research"] | None = None
    spend: Annotated[float, Field(gt=0, lt=1)] | None = None
    valid_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    criteria: Annotated[tuple[_Criterion, ...], Listed] = ()


def profiles() -> list[str]:
    """The criteria that come with wfbt."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def profile(name: str) -> Criteria:
    """Criteria that come with wfbt; ConfigError that names the near one."""
    if name not in profiles():
        near = nearest(name, profiles())
        raise ConfigError(
            f"profile must be one of {', '.join(profiles())}, was {shown(name)}"
            + (f"; did you mean {near}?" if near else "")
        )
    return load_criteria(FOLDER / f"{name}.yaml")


def load_criteria(path: Path) -> Criteria:
    """Read a criteria file: version, name, extends, spend and criteria.

    With `extends`, a criterion takes the place of the one of its name, and others are added.  ConfigError names file,
    key, rule and value.
    """
    document = read_file(path)
    if not isinstance(document.tree, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values, with version, name and criteria")
    try:
        told = _File.model_validate(document.tree)
    except ValidationError as error:
        found = error.errors(include_url=False)
        origins = {key: f"line {line}" for key, line in document.lines.items()}
        raise ConfigError(
            mistakes(((where(one), sentence(one, _File)) for one in found), len(found), origins, str(path))
        ) from None
    if told.version != VERSION:
        raise ConfigError(f"{path}: version must be {VERSION}, was {told.version}; this wfbt knows no other")
    base = None if told.extends is None else profile(told.extends)
    asked = {} if base is None else {one.name: one for one in base.criteria}
    seen: set[str] = set()
    for index, one in enumerate(told.criteria):
        line = document.lines.get(("criteria", index, "name"))
        if one.name in seen:
            raise ConfigError(f"{path}: criteria[{index}].name repeats {shown(one.name)}; keep one (line {line})")
        if one.name == SPENT:
            raise ConfigError(
                f"{path}: criteria[{index}].name must not be {SPENT}, the name that the trial ledger keeps for "
                f"the file's own; name it otherwise (line {line})"
            )
        seen.add(one.name)
        try:
            asked[one.name] = Criterion(**(one.model_dump() | {"kind": Kind(one.kind)}))
        except ConfigError as error:
            raise ConfigError(f"{path}: criteria[{index}]: {error} (line {line})") from None
    if not asked:
        raise ConfigError(f"{path}: criteria must not be empty; what asks nothing passes everything")
    spend = told.spend if told.spend is not None else None if base is None else base.spend
    if spend is None:
        raise ConfigError(f"{path}: spend is required where extends is null; 0.01 is the default gate's")
    valid = told.valid_days or (VALID_DAYS if base is None else base.valid_days)
    out = Criteria(name=told.name, spend=spend, criteria=tuple(asked.values()), valid_days=valid)
    if path.parent != FOLDER and told.name in profiles() and out.sha256 != profile(told.name).sha256:
        raise ConfigError(
            f"{path}: name must not be {shown(told.name)}, which comes with wfbt and asks something else; "
            "give yours a name of its own, for that name stands in the verdict"
        )
    return out
