"""What policies made of several share: parameters by part, and opinions that stand until the next one."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.policy.council import Deliberation
from wfbt.policy.learned import Learned
from wfbt.policy.rule import Frames, Rule
from wfbt.policy.taught import Taught

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]


Network = Learned | Taught
"""A part that decides by networks."""

Part = Rule | Learned | Taught
"""What a policy may be made of."""


class Composite(ABC):
    """A policy of several rules or networks.  A parameter is named `key.parameter`, `key` being that of its part."""

    __slots__ = ()

    kind: ClassVar[str]

    @property
    @abstractmethod
    def parts(self) -> Mapping[str, Part]:
        """Rules and networks by key, in the order of the strategy file."""

    @abstractmethod
    def with_parts(self, parts: Mapping[str, Part]) -> Self:
        """The same of other parts, by the same keys."""

    def settled(self, frames: Frames, params: Mapping[str, Any], train: I8 | None) -> Self:
        """The same with every part as it is once fitted on the rows of `frames` that close in `train`."""
        shares = self.split(params)
        return self.with_parts({key: part.settled(frames, shares[key], train) for key, part in self.parts.items()})

    @property
    def name(self) -> str:
        """The kind and the names of the parts."""
        *others, last = [part.name for part in self.parts.values()]
        return f"{self.kind} of {', '.join(others)}{' and ' if others else ''}{last}"

    @property
    def source_sha256(self) -> str:
        """Hash of the keys and the source hashes of all parts, in order."""
        told = "".join(f"{key} {part.source_sha256}\n" for key, part in self.parts.items())
        return hashlib.sha256(told.encode()).hexdigest()

    @property
    def fitted(self) -> bool:
        """Whether any part learns from training rows."""
        return any(part.fitted for part in self.parts.values())

    @property
    def watches(self) -> bool:
        """Whether any part watches the account."""
        return any(part.watches for part in self.parts.values())

    def deliberation(self, frames: Frames, params: Mapping[str, Any], train: I8 | None = None) -> Deliberation:
        """What the networks of one that watches decide by; ConfigError where its parts cannot be asked together."""
        raise ConfigError(
            f"{self.name}: a {self.kind} cannot have parts that watch the account; let them see nothing of it"
        )

    def split(self, params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The parameters of each part by its own names; ConfigError on one that belongs to no part."""
        shares: dict[str, dict[str, Any]] = {key: {} for key in self.parts}
        for name, value in params.items():
            key, _, own = name.partition(".")
            if key not in shares or not own:
                raise ConfigError(
                    f"policy.params.{name} belongs to no part of the {self.kind}; "
                    f"its parts are {', '.join(shares)}, as in {next(iter(shares))}.{own or name}"
                )
            shares[key][own] = value
        return shares

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters of all parts with defaults filled in."""
        shares = self.split(params)
        return {
            f"{key}.{name}": value for key, part in self.parts.items() for name, value in part.bind(shares[key]).items()
        }

    def is_valid(self, params: Mapping[str, Any]) -> bool:
        """Whether every part accepts its parameters."""
        shares = self.split(params)
        return all(part.is_valid(shares[key]) for key, part in self.parts.items())

    def label_horizon(self, params: Mapping[str, Any]) -> int:
        """Bars after its own that a row's label reads: the longest of the parts'."""
        shares = self.split(params)
        return max(part.label_horizon(shares[key]) for key, part in self.parts.items())


def standing(target: F8) -> I8:
    """(T,) row of the last number at or before each row of (T,) `target`, −1 before the first."""
    rows = np.where(np.isnan(target), -1, np.arange(len(target)))
    return np.maximum.accumulate(rows)


def taken(column: F8, rows: I8) -> F8:
    """(T,) `column` at `rows`, NaN where the row is −1."""
    # Indexing with −1 would read the last row, which nobody knows yet.
    return np.where(rows >= 0, column[np.maximum(rows, 0)], np.nan)
