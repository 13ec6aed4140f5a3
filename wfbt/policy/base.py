"""A policy: bars in, columns of intents out, for the whole span at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.errors import ConfigError, PolicyError, WfbtError
from wfbt.policy.columns import NAMES, Columns, read_several, read_single
from wfbt.policy.load import REQUIRED, Rule, describe, load_rule

__all__ = ["NAMES", "REQUIRED", "Columns", "Rule", "evaluate", "load_rule"]


def evaluate(
    rule: Rule,
    frames: Mapping[str, pd.DataFrame],
    params: Mapping[str, Any],
    train: npt.NDArray[np.int64] | None = None,
) -> dict[str, Columns]:
    """What `rule` with `params` wants of each symbol, one row per bar of that symbol's frame.

    `frames` are the bars of each symbol, indexed by close time (UTC): open, high, low, close, volume, funding.  The
    rule gets copies.  A built-in is applied to each symbol, its targets divided by the number of symbols; any other
    rule gets the one frame, or the dict of several.  A class is fitted on the rows whose close time (ns UTC) is in
    `train`, and on no others.
    """
    bound = rule.bind(params)
    if not rule.is_valid(params):
        given = ", ".join(f"{key} {value}" for key, value in bound.items())
        raise ConfigError(f"policy.params: {rule.name} has no meaning with {given}; see its description")
    if rule.built_in:
        return {symbol: _built_in(rule, symbol, frame, bound, len(frames)) for symbol, frame in frames.items()}
    bars = _copies(frames)
    if rule.kind == "class":
        fitted = _guarded(rule, frames, rule.call)
        _guarded(rule, frames, fitted.fit, _copies(_training(rule, frames, train)), **bound)
        output = _guarded(rule, frames, fitted.targets, bars)
    else:
        output = _guarded(rule, frames, rule.call, bars, **bound)
    if len(frames) > 1:
        return read_several(rule.name, output, frames)
    ((symbol, frame),) = frames.items()
    return {symbol: read_single(rule.name, output, symbol, pd.DatetimeIndex(frame.index))}


def _built_in(rule: Rule, symbol: str, frame: pd.DataFrame, bound: Mapping[str, Any], symbols: int) -> Columns:
    try:
        output = rule.call(frame.copy(), **bound)
    except WfbtError as error:
        raise type(error)(f"{rule.name}: {symbol}: {error}") from error
    columns = read_single(rule.name, output, symbol, pd.DatetimeIndex(frame.index))
    return replace(columns, target=columns.target / symbols)


def _copies(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame | dict[str, pd.DataFrame]:
    # A frame's copy shares its index object, whose name a rule could change.
    copies = {symbol: frame.copy().set_axis(frame.index.copy()) for symbol, frame in frames.items()}
    return copies if len(copies) > 1 else next(iter(copies.values()))


def _training(
    rule: Rule, frames: Mapping[str, pd.DataFrame], train: npt.NDArray[np.int64] | None
) -> dict[str, pd.DataFrame]:
    if train is None:
        raise PolicyError(f"{rule.name} is fitted, so it needs training rows: run it walk-forward")
    times = pd.DatetimeIndex(pd.to_datetime(train, unit="ns", utc=True))
    rows = {symbol: frame[frame.index.isin(times)] for symbol, frame in frames.items()}
    if empty := [symbol for symbol, frame in rows.items() if frame.empty]:
        raise PolicyError(f"{rule.name} has no training row of {', '.join(empty)}; start later or train longer")
    return rows


def _guarded(rule: Rule, frames: Mapping[str, pd.DataFrame], call: Callable[..., Any], /, *args: Any, **kw: Any) -> Any:
    try:
        return call(*args, **kw)
    except (Exception, SystemExit) as error:
        several = len(frames) > 1 and isinstance(error, KeyError | TypeError | AttributeError)
        hint = "; with several symbols a rule receives a dict symbol -> DataFrame" if several else ""
        raise PolicyError(f"{rule.name}: {describe(error, rule.source)}{hint}") from error
