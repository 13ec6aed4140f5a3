"""The candidates of a parameter search, in an order that never changes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from wfbt.errors import ConfigError
from wfbt.policy.wording import near

MOST = 100_000


class Candidates(NamedTuple):
    """`params`: one dict per candidate, complete with the fixed parameters.  `dropped`: how many the rule refused."""

    params: list[dict[str, Any]]
    dropped: int


def candidates(
    params: Mapping[str, Any],
    search: Mapping[str, Any],
    method: str = "grid",
    limit: int | None = None,
    seed: int = 0,
    valid: Callable[[Mapping[str, Any]], bool] | None = None,
    section: str = "policy",
) -> Candidates:
    """Every combination of `search` over `params`, or `limit` of them drawn without replacement by "random".

    Values are lists or ranges {low, high, step}, `high` included when a step lands on it.  The last key varies fastest.
    With a grid `limit` is the most that may come out.  Drawn candidates keep the grid's order, so the draw decides
    which are looked at and not which comes first.  What `valid` (a rule's `is_valid`) refuses is dropped and counted.
    `section` is where the strategy file searches, for messages.
    """
    where = f"{section}.search"
    axes = {key: _values(f"{where}.{key}", given) for key, given in search.items()}
    size = math.prod(len(values) for values in axes.values())
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ConfigError(f"the number of candidates must be a whole number >= 1, was {limit!r}")
    if method == "grid":
        points = _grid(where, axes, size, min(limit or MOST, MOST))
    elif method == "random":
        points = _draw(where, axes, size, limit, seed)
    else:
        raise ConfigError(
            f"search method {method!r} is not known{near(method, ('grid', 'random'))}; use grid or random"
        )
    every = [{**params, **point} for point in points]
    kept = [one for one in every if valid is None or valid(one)]
    if not kept:
        first = ", ".join(f"{key} {value}" for key, value in every[0].items())
        if not search:
            raise ConfigError(f"{section}.params: the rule has no meaning with {first}; see its description")
        raise ConfigError(
            f"{where}: the rule refuses all {len(every)} candidates, the first with {first}; search other values"
        )
    return Candidates(kept, len(every) - len(kept))


def _grid(where: str, axes: Mapping[str, Sequence[Any]], size: int, most: int) -> list[dict[str, Any]]:
    if size > most:
        lengths = " x ".join(f"{key} {len(values)}" for key, values in axes.items())
        raise ConfigError(
            f"{where}: {lengths} are {size:,} candidates, more than {most:,}; search less or draw at random"
        )
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _draw(
    where: str, axes: Mapping[str, Sequence[Any]], size: int, limit: int | None, seed: int
) -> list[dict[str, Any]]:
    if limit is None or limit > MOST:
        raise ConfigError(f"{where}: a random search needs the number of candidates, at most {MOST:,}, was {limit}")
    if size > 2**62:
        raise ConfigError(f"{where}: {size:.1e} combinations are too many to draw from; search fewer keys")
    if size <= limit:
        return _grid(where, axes, size, limit)
    chosen = np.sort(np.random.default_rng(seed).choice(size, limit, replace=False))
    points = []
    for number in chosen.tolist():
        point = {}
        for key, values in reversed(list(axes.items())):
            number, place = divmod(number, len(values))
            point[key] = values[place]
        points.append({key: point[key] for key in axes})
    return points


def _values(where: str, given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return _range(where, given)
    if not isinstance(given, list | tuple):
        raise ConfigError(f"{where} must be a list or {{low, high, step}}, was {given!r}")
    if not given:
        raise ConfigError(f"{where} is an empty list; give it a value or leave the key out")
    if len(given) > MOST:
        raise ConfigError(f"{where} lists {len(given):,} values, more than {MOST:,}")
    seen = set()
    for value in given:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and not math.isfinite(value):
            raise ConfigError(f"{where} lists {value}; values must be finite")
        mark = value if number else repr(value)
        if mark in seen:
            raise ConfigError(f"{where} lists {value!r} twice; every candidate counts as a trial, so name it once")
        seen.add(mark)
    return list(given)


def _range(where: str, given: Mapping[str, Any]) -> list[int] | list[float]:
    names = ("low", "high", "step")
    for key in given:
        if key not in names:
            raise ConfigError(f"{where}.{key} is not part of a range{near(key, names)}; a range is {{low, high, step}}")
    for name in names:
        if name not in given:
            raise ConfigError(f"{where}.{name} is missing; a range is {{low, high, step}}")
        value = given[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ConfigError(f"{where}.{name} must be a number, was {value!r}")
    # Decimals count in the digits the user typed, so the third step of 0.1 is 0.3 and not 0.30000000000000004.
    low, high, step = (Decimal(str(given[name])) for name in names)
    if step <= 0:
        raise ConfigError(f"{where}.step must be > 0, was {given['step']}")
    if low > high:
        raise ConfigError(f"{where}.low must be <= high, was {given['low']} > {given['high']}")
    count = int((high - low) / step) + 1
    if count > MOST:
        raise ConfigError(f"{where} has {count:,} values, more than {MOST:,}; take a larger step")
    grid = [low + i * step for i in range(count)]
    whole = isinstance(given["low"], int) and isinstance(given["step"], int)
    return [int(value) for value in grid] if whole else [float(value) for value in grid]
