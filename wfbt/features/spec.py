"""Which numbers a learned policy observes, in which order: parsed once, named, hashed, computed from frames."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt import kernels
from wfbt.config.messages import nearest
from wfbt.errors import ConfigError, PolicyError, WfbtError
from wfbt.features import formulas
from wfbt.features.learners import Frames
from wfbt.features.registry import FEATURES, OHLCV, ORDER_BOOK, PRESETS, Feature

F8 = npt.NDArray[np.float64]
Given = str | Mapping[str, Any]

MOST = 256
SOURCES = (
    *(Path(__file__).with_name(f"{name}.py") for name in ("formulas", "registry", "indicators", "rolling", "trades")),
    *(Path(str(kernels.__file__)).with_name(f"{name}.py") for name in ("trades", "rolling")),
)
"""The files that compute what can be named: an edit to one of them makes another specification."""


class Loaded(Protocol):
    """A user's function, found: `call(bars, **params)` gives a DataFrame of named columns on the index of `bars`."""

    @property
    def call(self) -> Callable[..., Any]: ...

    @property
    def source_sha256(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A feature with its parameters."""

    name: str
    feature: Feature
    params: Mapping[str, int | str]

    @property
    def names(self) -> tuple[str, ...]:
        """What the column is called: the feature and all its parameters."""
        return ("_".join([self.name, *(str(value) for value in self.params.values())]),)

    @property
    def warmup(self) -> int:
        """Rows before its first number."""
        return self.feature.warmup(**self.params) if self.feature.whole else self.feature.warmup()

    @property
    def identity(self) -> str:
        """What its hash is made of beside its name and its parameters."""
        return ""

    def columns(self, symbol: str, frame: pd.DataFrame) -> F8:
        """(T, 1)."""
        if lacking := _lacking(self, frame):
            raise ConfigError(f"features: {self.names[0]} needs {lacking}, and {symbol} has none")
        return self.feature.formula(frame, **self.params)[:, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A function of the user's, with the columns that it promises."""

    name: str
    loaded: Loaded
    params: Mapping[str, Any]
    promised: tuple[str, ...]
    warmup: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in their order."""
        return self.promised

    @property
    def identity(self) -> str:
        """The hash of its source."""
        return self.loaded.source_sha256

    def columns(self, symbol: str, frame: pd.DataFrame) -> F8:
        """(T, columns) of what it returns; PolicyError on anything but the promised columns, on the frame's index."""
        try:
            # A frame's copy shares its index object, whose name a function could change.
            made = self.loaded.call(frame.copy().set_axis(frame.index.copy()), **self.params)
        except WfbtError:
            raise
        except Exception as error:
            first = str(error).strip().partition("\n")[0]
            raise PolicyError(f"features: {self.name}: {symbol}: {type(error).__name__}: {first}") from error
        if not isinstance(made, pd.DataFrame):
            raise PolicyError(f"features: {self.name}: returned {type(made).__name__}; return a DataFrame of columns")
        if list(made.columns) != list(self.promised):
            raise PolicyError(
                f"features: {self.name}: returned the columns {', '.join(map(str, made.columns)) or 'none'}, and "
                f"{', '.join(self.promised)} are promised by the strategy file"
            )
        if not made.index.equals(frame.index):
            raise PolicyError(
                f"features: {self.name}: {symbol}: returned {len(made)} rows on an index of its own for {len(frame)} "
                "bars; keep the index of bars, NaN where nothing is known"
            )
        try:
            return made.to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise PolicyError(f"features: {self.name}: {symbol}: returned what is no number") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSpec:
    """What is observed of a symbol at each close, in order.

    Attributes
    ----------
    terms : tuple
        Features with their parameters, and functions of the user's.
    """

    terms: tuple[Term | Own, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise ConfigError("features: names none; give a list of features, or a set such as bars")
        if len(self.names) > MOST:
            raise ConfigError(f"features: at most {MOST} are observed, was {len(self.names)}")
        for name in self.names:
            if self.names.count(name) > 1:
                raise ConfigError(f"features: {name} is named twice")

    @classmethod
    def parse(cls, given: str | Sequence[Given], load: Callable[[str], Loaded] | None = None) -> Self:
        """The specification of a strategy file or a manifest; ConfigError on what cannot be meant.

        `given` is the name of a set or a list of: the name of a set; that of a feature, alone or with its parameters
        behind it (`rsi`, `rsi_14`, `macd_12_26_9`, `series_news`); a feature and its parameters (`{rsi: {n: 14}}`);
        `{"file.py:function": {columns: [a, b], n: 24}}`, which `load` finds, with the columns that it returns and its
        own parameters.
        """
        terms: list[Term | Own] = []
        for place, entry in enumerate([given] if isinstance(given, str) else given):
            terms += _parsed(entry, f"features[{place}]", load)
        return cls(terms=tuple(terms))

    @property
    def names(self) -> tuple[str, ...]:
        """F names, in the order of the columns."""
        return tuple(name for term in self.terms for name in term.names)

    @property
    def warmup(self) -> int:
        """Rows before the first that can have every feature, where what they need is there from the first row on."""
        return max(term.warmup for term in self.terms)

    @property
    def needs(self) -> frozenset[str]:
        """What every symbol must have: bars, trades, funding, series."""
        return frozenset(term.feature.needs for term in self.terms if isinstance(term, Term))

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Plain values that `parse` reads back."""
        out: list[dict[str, Any]] = []
        for term in self.terms:
            promised = {} if isinstance(term, Term) else {"columns": list(term.promised)}
            out.append({term.name: promised | dict(term.params)})
        return out

    @property
    def sha256(self) -> str:
        """Hash of the ordered features, their parameters and the source that computes them."""
        sha = hashlib.sha256(json.dumps(self.entries, sort_keys=True).encode())
        for source in SOURCES:
            sha.update(b"\n" + hashlib.sha256(source.read_bytes()).hexdigest().encode())
        for term in self.terms:
            sha.update(b"\n" + term.identity.encode())
        return sha.hexdigest()

    def matrix(self, frames: Frames) -> dict[str, F8]:
        """(T, F) float64 of each symbol; row t is known at the close of bar t, and made of rows ≤ t of `frames`.

        A number that is not known is NaN: in the warm-up, where nobody traded, where a series has no opinion.  A row
        with a NaN is no observation: the policy leaves the position alone there.  ConfigError where a symbol lacks what
        a feature needs.
        """
        out = {}
        for symbol, frame in frames.items():
            made = np.concatenate([term.columns(symbol, frame) for term in self.terms], axis=1)
            out[symbol] = np.where(np.isfinite(made), made, np.nan)
        return out

    def notes(self, frames: Frames) -> tuple[str, ...]:
        """What has to be known of how features were made: it goes into the manifest."""
        said = []
        if "vwap" in self.names:
            for symbol, frame in frames.items():
                if without := int(np.count_nonzero(~formulas.traded(frame))):
                    said.append(
                        f"{symbol}: vwap is (high + low + close) / 3 on {without:,} of {len(frame):,} bars, which have "
                        "no trades"
                    )
        return tuple(said)


def _lacking(term: Term, frame: pd.DataFrame) -> str:
    """What a frame lacks for a feature, in words."""
    needs = term.feature.needs
    if needs == "trades" and "trade_value" not in frame:
        return "trades (data.symbols.<symbol>.trades)"
    if needs == "funding" and frame["funding"].isna().all():
        return "funding (data.symbols.<symbol>.funding)"
    if needs != "series":
        return ""
    if term.name == "regime":
        name, section = f"regime_{term.params['state']}", "the section regimes"
    elif term.name == "volatility_forecast":
        name, section = "volatility", "the section volatility"
    else:
        name, section = str(term.params["column"]), "data.series"
    return "" if name in frame else f"the column {name} ({section})"


def _parsed(entry: Given, where: str, load: Callable[[str], Loaded] | None) -> list[Term | Own]:
    if isinstance(entry, str):
        if entry in PRESETS:
            return [_named(name, where) for name in PRESETS[entry]]
        return [_own(entry, {}, where, load) if ":" in entry else _named(entry, where)]
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ConfigError(f"{where} must be a feature, or one with its parameters as in {{rsi: {{n: 14}}}}: {entry!r}")
    ((name, params),) = entry.items()
    params = {} if params is None else params
    if not isinstance(name, str) or not isinstance(params, Mapping):
        raise ConfigError(f"{where}: {name} takes parameters by name, as in {{rsi: {{n: 14}}}}, was {params!r}")
    if ":" in name:
        return [_own(name, params, where, load)]
    return [_term(name, params, where)]


def _named(text: str, where: str) -> Term:
    """A feature by its name, with its parameters behind it or none."""
    if text in FEATURES or text in ORDER_BOOK:
        return _term(text, {}, where)
    for name in sorted(FEATURES, key=len, reverse=True):
        feature = FEATURES[name]
        if not text.startswith(f"{name}_"):
            continue
        rest = text[len(name) + 1 :]
        if feature.text:
            return _term(name, {feature.text: rest}, where)
        numbers = rest.split("_")
        if len(numbers) == len(feature.whole) and all(re.fullmatch(r"[1-9]\d{0,8}", one) for one in numbers):
            return _term(name, dict(zip(feature.whole, map(int, numbers), strict=True)), where)
    return _term(text, {}, where)


def _term(name: str, given: Mapping[str, Any], where: str) -> Term:
    if name in ORDER_BOOK:
        raise ConfigError(f"{where}: {name} is read from an order book, and books are not replayed in this version")
    if name not in FEATURES:
        near = nearest(name, [*FEATURES, *PRESETS])
        hint = f", did you mean {near}?" if near else ""
        raise ConfigError(
            f"{where}: {name} is no feature{hint}; there are {', '.join(FEATURES)}, the sets {', '.join(PRESETS)}, and "
            "your own as file.py:function"
        )
    feature = FEATURES[name]
    for key in given:
        if key not in feature.parameters:
            takes = ", ".join(feature.parameters) or "no parameters"
            raise ConfigError(f"{where}: {key} is not a parameter of {name}; it takes {takes}")
    params: dict[str, int | str] = {}
    for key, (default, least) in feature.whole.items():
        value = given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigError(f"{where}: {name} needs {key}, a whole number of bars >= {least}, was {value!r}")
        params[key] = value
    if feature.text:
        value = given.get(feature.text)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{where}: {name} needs {feature.text}, as in {name}_news, was {value!r}")
        if name == "series" and value in OHLCV:
            raise ConfigError(f"{where}: series {value} would be a raw price or volume; name the feature {value}")
        params[feature.text] = value
    if name == "macd" and not int(params["fast"]) < int(params["slow"]):
        raise ConfigError(f"{where}: macd.fast must be < slow ({params['slow']}), was {params['fast']}")
    return Term(name=name, feature=feature, params=params)


def _own(name: str, given: Mapping[str, Any], where: str, load: Callable[[str], Loaded] | None) -> Own:
    columns = given.get("columns")
    if (
        not isinstance(columns, Sequence)
        or isinstance(columns, str)
        or not columns
        or not all(isinstance(one, str) and re.fullmatch(r"[A-Za-z]\w{0,63}", one, re.ASCII) for one in columns)
    ):
        raise ConfigError(
            f"{where}: {name} needs columns, the names that it returns (letters, digits and _, a letter first), as in "
            f"{{{name}: {{columns: [lead, lag]}}}}, was {columns!r}"
        )
    if load is None:
        raise ConfigError(f"{where}: {name} is a function of a file, and none is read here")
    loaded = load(name)
    if isinstance(loaded.call, type):
        raise ConfigError(f"{where}: {name} is a class; a feature is a function of bars, and learns nothing")
    params = {key: value for key, value in given.items() if key != "columns"}
    return Own(name=name, loaded=loaded, params=params, promised=tuple(columns))
