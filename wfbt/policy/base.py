"""A policy: bars in, columns of intents out, for the whole span at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wfbt.errors import ConfigError
from wfbt.policy.columns import NAMES, Columns
from wfbt.policy.council import Deliberation
from wfbt.policy.load import load_rule
from wfbt.policy.rule import REQUIRED, Frames, Rule

__all__ = ["NAMES", "REQUIRED", "Columns", "Deliberation", "Policy", "Rule", "deliberate", "evaluate", "load_rule"]


class Policy(Protocol):
    """What a study asks: a rule, a hybrid of two or an ensemble of several.

    Parameters are one flat mapping.  Those of a policy made of parts carry the part's key: `propose.fast`, `1.fast`.
    """

    @property
    def name(self) -> str:
        """What messages and the manifest call it."""

    @property
    def kind(self) -> str:
        """function, class, hybrid or ensemble."""

    @property
    def source_sha256(self) -> str:
        """Hash of the source of everything that decides, the parts' among it."""

    @property
    def fitted(self) -> bool:
        """Whether any part learns from training rows, so that every fold needs its own columns."""

    @property
    def watches(self) -> bool:
        """Whether it decides by what its account has become, so that only a replay tells what it wants."""

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with defaults filled in; ConfigError on an unknown or a missing one."""

    def is_valid(self, params: Mapping[str, Any]) -> bool:
        """Whether these parameters make sense together."""

    def label_horizon(self, params: Mapping[str, Any]) -> int:
        """Bars after its own that a row's label reads, where it is fitted on labels; 0 without."""

    def columns(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Columns]:
        """What it wants of each symbol as a share of the whole account; row t depends on rows ≤ t.

        Of one that watches its account, what it wants on paper: where every target is had at once and for nothing.
        """

    def deliberation(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> Deliberation:
        """What the networks of one that watches decide by."""

    def settled(self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None) -> Policy:
        """The same once every part is fitted on the rows of `frames` that close in `train`: it learns no more."""


def evaluate(
    policy: Policy,
    frames: Frames,
    params: Mapping[str, Any],
    train: npt.NDArray[np.int64] | None = None,
) -> dict[str, Columns]:
    """What `policy` with `params` wants of each symbol, one row per bar of that symbol's frame.

    `frames` are the bars of each symbol, indexed by close time (UTC): open, high, low, close, volume, funding and
    whatever series the strategy joins.  Rules get copies.  A class is fitted on the rows whose close time (ns UTC) is
    in `train`, and on no others.
    """
    _check(policy, params)
    return policy.columns(frames, params, train)


def deliberate(
    policy: Policy,
    frames: Frames,
    params: Mapping[str, Any],
    train: npt.NDArray[np.int64] | None = None,
) -> Deliberation:
    """What the networks of a policy that watches its account decide by; arguments as those of `evaluate`."""
    _check(policy, params)
    return policy.deliberation(frames, params, train)


def _check(policy: Policy, params: Mapping[str, Any]) -> None:
    bound = policy.bind(params)
    if not policy.is_valid(params):
        given = ", ".join(f"{key} {value}" for key, value in bound.items())
        raise ConfigError(f"policy.params: {policy.name} has no meaning with {given}; see its description")
