"""Features brought to one scale: shifts and scales learnt from training rows, frozen ever after.

Only complete rows are learnt from and scaled: a row with a NaN is no observation, and stays NaN throughout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError, ConfigError, PolicyError
from wfbt.features.learners import FitRows
from wfbt.features.rolling import rolling_moments

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Matrices = Mapping[str, F8]
Closes = Mapping[str, I8]

Method = Literal["zscore", "minmax", "rolling", "none"]
METHODS: tuple[Method, ...] = get_args(Method)
CLIP = 10.0
WHAT = "features"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scaler:
    """What brings F features to one scale: clip((x − centre) / scale, −clip, clip).

    Attributes
    ----------
    method : str
        zscore: centre and scale are the mean and the ddof-1 deviation of the training rows.  minmax: their least and
        their range, so that training rows come to 0 … 1.  rolling: z-scores by the last `window` complete rows of the
        symbol, the row itself among them; nothing is learnt.  none: features as they are.
    names : tuple of str
        F names, in the order of the columns.
    centre, scale : (F,) float64
        Zeros and ones where nothing is learnt; a scale is never 0: that of a constant feature is 1.
    clip : float
        Beyond which scaled values are cut; infinite: nowhere.
    window : int
        Rows of `rolling`; 0 elsewhere.
    fits : tuple of FitRows
        The training rows of each symbol that were read; empty where nothing is learnt.
    """

    method: Method
    names: tuple[str, ...]
    centre: F8
    scale: F8
    clip: float = CLIP
    window: int = 0
    fits: tuple[FitRows, ...] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"features: scaling is one of {', '.join(METHODS)}, was {self.method!r}")
        for name in ("centre", "scale"):
            values = np.array(getattr(self, name), np.float64)
            values.flags.writeable = False
            object.__setattr__(self, name, values)
            if values.shape != (len(self.names),) or not np.isfinite(values).all():
                raise ArtifactError(f"features: {name} must be {len(self.names)} finite numbers, one a feature")
        if not (self.scale > 0).all():
            bad = self.names[int(np.argmin(self.scale > 0))]
            raise ArtifactError(f"features: the scale of {bad} must be > 0")
        if not self.clip > 0:
            raise ConfigError(f"features: clip must be > 0, was {self.clip}")
        if self.method == "rolling" and self.window < 2:
            raise ConfigError(f"features: rolling scaling needs a window of at least 2 rows, was {self.window}")

    @property
    def warmup(self) -> int:
        """Complete rows before the first scaled one."""
        return self.window - 1 if self.method == "rolling" else 0

    def apply(self, matrix: F8) -> F8:
        """(T, F) of (T, F): scaled, NaN throughout a row that has a NaN; row t is made of rows ≤ t and of the fit."""
        complete = complete_rows(matrix)
        out = np.full(matrix.shape, np.nan)
        rows = matrix[complete]
        if self.method == "rolling":
            out[complete] = _rolling(rows, self.window)
        else:
            out[complete] = (rows - self.centre) / self.scale
        return np.clip(out, -self.clip, self.clip, out=out)

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known of the fit."""
        return self.fits[0].notes if self.fits else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a manifest, without the rows of the fit."""
        return {
            "method": self.method,
            "names": list(self.names),
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "clip": self.clip if math.isfinite(self.clip) else None,
            "window": self.window,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """What `to_dict` wrote; ArtifactError on anything else."""
        keys = {"method", "names", "centre", "scale", "clip", "window"}
        if not isinstance(given, Mapping) or set(given) != keys:
            raise ArtifactError(f"features: a scaler has {', '.join(sorted(keys))}, was {sorted(map(str, given))}")
        names, clip, window = given["names"], given["clip"], given["window"]
        if not _strings(names) or not _numbers(given["centre"]) or not _numbers(given["scale"]):
            raise ArtifactError("features: a scaler has names, and as many numbers as centre and as scale")
        if given["method"] not in METHODS or isinstance(window, bool) or not isinstance(window, int):
            raise ArtifactError(f"features: a scaler's method is one of {', '.join(METHODS)}, its window whole rows")
        if clip is not None and not _numbers([clip]):
            raise ArtifactError(f"features: a scaler's clip is a number or null, was {clip!r}")
        return cls(
            method=given["method"],
            names=tuple(names),
            centre=np.array(given["centre"], np.float64),
            scale=np.array(given["scale"], np.float64),
            clip=math.inf if clip is None else float(clip),
            window=window,
        )


def fit_scaler(
    method: Method,
    names: Sequence[str],
    matrices: Matrices,
    closes: Closes,
    train: I8,
    *,
    clip: float = CLIP,
    window: int = 0,
) -> Scaler:
    """A scaler of features of all symbols together, learnt from the complete rows that close at one of `train`.

    Parameters
    ----------
    matrices : mapping of symbol to (T, F) float64
        Over the whole span; only training rows are read.
    closes : mapping of symbol to (T,) int64
        ns UTC.
    train : (K,) int64
        Closes of the training rows, ns UTC.

    PolicyError where no training row is complete, or only one is.
    """
    count = len(names)
    if method in ("rolling", "none"):
        bound = clip if method == "rolling" else math.inf
        return Scaler(
            method=method,
            names=tuple(names),
            centre=np.zeros(count),
            scale=np.ones(count),
            clip=bound,
            window=window if method == "rolling" else 0,
        )
    rows, read = training_rows(names, matrices, closes, train)
    least, most = rows.min(axis=0), rows.max(axis=0)
    if method == "minmax":
        centre, scale = least, most - least
    else:
        centre, scale = rows.mean(axis=0), rows.std(axis=0, ddof=1)
    # Not by the deviation: rounding gives equal numbers one that is not quite 0.
    constant = least == most
    scale = np.where(constant | ~(scale > 0), 1.0, scale)
    notes = tuple(
        f"{names[i]} is {least[i]:g} on every training row: its scale is 1" for i in np.flatnonzero(constant).tolist()
    )
    return Scaler(method=method, names=tuple(names), centre=centre, scale=scale, clip=clip, fits=fit_rows(read, notes))


def complete_rows(matrix: F8) -> Mask:
    """(T,) whether all features of a row are known."""
    return np.asarray(~np.isnan(matrix).any(axis=1))


def training_rows(names: Sequence[str], matrices: Matrices, closes: Closes, train: I8) -> tuple[F8, dict[str, I8]]:
    """Complete rows (K, F) of all symbols that close at one of `train`, and the training closes of each symbol.

    PolicyError with fewer than two, naming the feature that most rows lack.
    """
    read, parts, unknown, total = {}, [], np.zeros(len(names)), 0
    for symbol, matrix in matrices.items():
        inside = np.isin(closes[symbol], train)
        read[symbol] = closes[symbol][inside]
        rows = matrix[inside]
        unknown += np.isnan(rows).sum(axis=0)
        total += len(rows)
        parts.append(rows[complete_rows(rows)])
    rows = np.concatenate(parts)
    if len(rows) < 2:
        worst = int(np.argmax(unknown))
        raise PolicyError(
            f"features: {len(rows)} of {total} training rows have every feature, and a scale needs two; "
            f"{names[worst]} is unknown on {int(unknown[worst])} of them; train longer, or leave it out"
        )
    return rows, read


def fit_rows(read: Mapping[str, I8], notes: tuple[str, ...]) -> tuple[FitRows, ...]:
    """One record a symbol of the rows that a fit has read."""
    return tuple(FitRows(what=WHAT, symbol=symbol, rows=rows, notes=notes) for symbol, rows in read.items())


def _rolling(rows: F8, window: int) -> F8:
    """(K, F) z-scores of complete rows by the last `window`; NaN before, 0 where all are equal."""
    out = np.full(rows.shape, np.nan)
    for place in range(rows.shape[1]):
        column = np.ascontiguousarray(rows[:, place])
        mean, deviation = rolling_moments(column, window)
        out[:, place] = (column - mean) / np.where(deviation > 0, deviation, 1.0)
    out[: window - 1] = np.nan
    return out


def _strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(one, str) for one in values)


def _numbers(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in values
    )
