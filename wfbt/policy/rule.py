"""One rule: a function or a class that turns bars into columns of intents."""

from __future__ import annotations

import inspect
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import ConfigError, PolicyError, WfbtError
from wfbt.features.learners import training_frames
from wfbt.policy.columns import Columns, read_several, read_single
from wfbt.policy.council import Deliberation
from wfbt.policy.wording import near

REQUIRED: Any = inspect.Parameter.empty
"""In `Rule.parameters`: a parameter without a default."""

Frames = Mapping[str, pd.DataFrame]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that was found, before it has seen any bar.

    Attributes
    ----------
    name : str
        As written in the strategy file.
    call : callable
        `f(bars, **params)`, or a class with `fit(bars, **params)` and `targets(bars)`.
    kind : str
        "function" or "class".
    source : Path or None
        The file it stands in; None for built-ins and compiled modules.
    source_sha256 : str
        Of that file as it was executed; for built-ins of the rules and the features they use.
    parameters : mapping
        Name to default, `REQUIRED` where there is none.
    open_ended : bool
        Takes any further keyword.
    built_in : bool
        Ours: its parameters are held to their annotations.
    per_symbol : bool
        Asked about each symbol alone, its targets divided by the number of symbols.  Other rules see all symbols at
        once and nothing is divided.
    section : str
        Where the strategy file names it; messages about its parameters begin with it.
    searched : frozenset of str
        The parameters that stand under `search` there; messages name them so.
    """

    name: str
    call: Callable[..., Any]
    kind: str
    source: Path | None
    source_sha256: str
    parameters: Mapping[str, Any]
    open_ended: bool = False
    built_in: bool = False
    per_symbol: bool = False
    section: str = "policy"
    searched: frozenset[str] = frozenset()

    @property
    def place(self) -> str:
        """Name for messages, after the section where a strategy has several."""
        return self.name if self.section == "policy" else f"{self.section}: {self.name}"

    @property
    def fitted(self) -> bool:
        """Whether it learns from training rows."""
        return self.kind == "class"

    @property
    def watches(self) -> bool:
        """A rule sees bars, never its account."""
        return False

    def bind(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with defaults filled in; ConfigError on an unknown or a missing one."""
        valid = ", ".join(self.parameters) or "no parameters"
        for key in params:
            if key not in self.parameters and not self.open_ended:
                raise ConfigError(
                    f"{self.key(key)} is not a parameter of {self.name}{near(key, self.parameters)}; it takes {valid}"
                )
        bound = {**self.parameters, **params}
        if missing := [key for key, value in bound.items() if value is REQUIRED]:
            raise ConfigError(f"{self.section}.params.{missing[0]} is missing: {self.name} needs it; it takes {valid}")
        if self.built_in:
            _check_kinds(self, bound)
        return bound

    def key(self, parameter: str) -> str:
        """Where the strategy file gives a parameter."""
        return f"{self.section}.{'search' if parameter in self.searched else 'params'}.{parameter}"

    def is_valid(self, params: Mapping[str, Any]) -> bool:
        """Whether the rule's own `valid(**params)`, if it carries one, accepts these parameters together."""
        valid = getattr(self.call, "valid", None)
        if valid is None:
            return True
        try:
            return bool(valid(**self.bind(params)))
        except ConfigError:
            raise
        except Exception as error:
            raise PolicyError(f"{self.place}: valid(): {describe(error, self.source)}") from error

    def label_horizon(self, params: Mapping[str, Any]) -> int:
        """Bars after its own that a row's label reads: the rule's own `label_horizon`, a number or a static function of
        its parameters; 0 where it declares none.
        """
        declared = getattr(self.call, "label_horizon", 0)
        if callable(declared):
            try:
                declared = declared(**self.bind(params))
            except WfbtError:
                raise
            except Exception as error:
                raise PolicyError(f"{self.place}: label_horizon(): {describe(error, self.source)}") from error
        if not isinstance(declared, int | np.integer) or isinstance(declared, bool) or declared < 0:
            raise PolicyError(
                f"{self.place}: label_horizon must be a whole number of bars >= 0, or a static function of the "
                f"parameters that returns one, was {declared!r}"
            )
        return int(declared)

    def columns(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Columns]:
        """What it wants of each symbol as a share of the whole account."""
        said = self.opinion(frames, params, train)
        if not self.per_symbol:
            return said
        count = len(frames)
        return {
            symbol: replace(one, target=one.target / count, other=None if one.other is None else one.other / count)
            for symbol, one in said.items()
        }

    def deliberation(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> Deliberation:
        """There is none."""
        raise PolicyError(f"{self.place} is a rule, and decides by bars alone")

    def opinion(
        self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Columns]:
        """What it says of each symbol, before any division among symbols."""
        bound = self.bind(params)
        if self.per_symbol:
            return {symbol: self._of_one(symbol, frame, bound) for symbol, frame in frames.items()}
        if self.built_in:
            return self._of_all(frames, bound)
        bars = _copies(frames)
        if self.fitted:
            learner = _guarded(self, frames, self.call)
            _guarded(self, frames, learner.fit, _copies(_training(self, frames, train)), **bound)
            output = _guarded(self, frames, learner.targets, bars)
        else:
            output = _guarded(self, frames, self.call, bars, **bound)
        if len(frames) > 1:
            return read_several(self.place, output, frames)
        ((symbol, frame),) = frames.items()
        return {symbol: read_single(self.place, output, symbol, pd.DatetimeIndex(frame.index))}

    def settled(self, frames: Frames, params: Mapping[str, Any], train: npt.NDArray[np.int64] | None) -> Rule:
        """This rule as it is once fitted on the rows of `frames` that close in `train`: it learns no more.

        Whatever frames it is asked about afterwards, it decides by what it learnt here.  One that is not fitted is
        itself.  The object that learnt is shared by all questions, so they are to be put one at a time.
        """
        if not self.fitted:
            return self
        learner = _guarded(self, frames, self.call)
        _guarded(self, frames, learner.fit, _copies(_training(self, frames, train)), **self.bind(params))

        def targets(bars: Any, **params: Any) -> Any:
            return learner.targets(bars)

        return replace(self, call=targets, kind="function")

    def _of_one(self, symbol: str, frame: pd.DataFrame, bound: Mapping[str, Any]) -> Columns:
        try:
            output = self.call(frame.copy(), **bound)
        except WfbtError as error:
            raise type(error)(f"{self.place}: {symbol}: {error}") from error
        return read_single(self.place, output, symbol, pd.DatetimeIndex(frame.index))

    def _of_all(self, frames: Frames, bound: Mapping[str, Any]) -> dict[str, Columns]:
        try:
            output = self.call({symbol: frame.copy() for symbol, frame in frames.items()}, **bound)
        except WfbtError as error:
            raise type(error)(f"{self.place}: {error}") from error
        return read_several(self.place, output, frames)


def describe(error: BaseException, source: Path | None) -> str:
    """`file:line: Type: text` of an error raised by a user's file: the deepest line of it that was running."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if source is not None and Path(frame.filename) == source]
    first_line = str(error).strip().partition("\n")[0]
    text = f"{type(error).__name__}: {first_line}".rstrip(": ")
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}: {type(error).__name__}: {error.msg}"
    if not own:
        return text
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}: {text}"


_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "float | None": ((int, float, type(None)), "a number or null"),
    "str": ((str,), "text"),
    "tuple[str, ...]": ((list, tuple), "a list of text"),
}


def _check_kinds(rule: Rule, bound: Mapping[str, Any]) -> None:
    """Hold the parameters of a built-in to its annotations; a user's rule may take what it likes."""
    for key, parameter in list(inspect.signature(rule.call).parameters.items())[1:]:
        types, words = _KINDS[parameter.annotation]
        value = bound[key]
        fits = isinstance(value, types) and isinstance(value, bool) == (bool in types)
        if isinstance(value, list | tuple):
            fits = fits and all(isinstance(item, str) for item in value)
        if not fits or (isinstance(value, float) and not math.isfinite(value)):
            raise ConfigError(f"{rule.key(key)} of {rule.name} must be {words}, was {value!r}")


def _copies(frames: Frames) -> pd.DataFrame | dict[str, pd.DataFrame]:
    # A frame's copy shares its index object, whose name a rule could change.
    copies = {symbol: frame.copy().set_axis(frame.index.copy()) for symbol, frame in frames.items()}
    return copies if len(copies) > 1 else next(iter(copies.values()))


def _training(rule: Rule, frames: Frames, train: npt.NDArray[np.int64] | None) -> dict[str, pd.DataFrame]:
    if train is None:
        raise PolicyError(f"{rule.place} is fitted, so it needs training rows: run it walk-forward")
    rows = training_frames(frames, train)
    if empty := [symbol for symbol, frame in rows.items() if frame.empty]:
        raise PolicyError(f"{rule.place} has no training row of {', '.join(empty)}; start later or train longer")
    return rows


def _guarded(rule: Rule, frames: Frames, call: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
    try:
        return call(*args, **kw)
    except (Exception, SystemExit) as error:
        several = len(frames) > 1 and isinstance(error, KeyError | TypeError | AttributeError)
        hint = "; with several symbols a rule receives a dict symbol -> DataFrame" if several else ""
        raise PolicyError(f"{rule.place}: {describe(error, rule.source)}{hint}") from error
