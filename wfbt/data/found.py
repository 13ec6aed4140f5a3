"""Which files of a place hold what a run was given: by the names that the run's own files have."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

from wfbt.errors import ConfigError

ROLES = ("bars", "funding", "mark", "execution_bars", "trades")
REQUIRED = ("bars", "funding", "trades")
"""What a policy may decide by; marks and execution bars can be done without."""


def found_in(place: Path, given: Mapping[str, Mapping[str, str | None]]) -> dict[str, dict[str, str]]:
    """Paths by symbol and role of what `given` names, in `place`.

    `place` is a Parquet file of the bars of a run of one symbol; or a folder with a folder per symbol whose files are
    called as those of the run; or, for runs that were given nothing but bars, one with a file <SYMBOL>.parquet each.  A
    folder of one symbol's files serves a run of that symbol.  ConfigError names what is missing.
    """
    if not place.exists():
        raise ConfigError(f"{place}: there is no such file or folder")
    if place.is_file():
        if len(given) > 1:
            raise ConfigError(
                f"{place} is one file, and the run trades {', '.join(given)}; name a folder that holds a folder of "
                "each symbol"
            )
        symbol = next(iter(given))
        if also := [role for role in REQUIRED[1:] if given[symbol].get(role)]:
            raise ConfigError(
                f"{place} is one file of bars, and the run was given {' and '.join(also)} of {symbol} too; name a "
                f"folder with {', '.join(Path(str(given[symbol][role])).name for role in ('bars', *also))} in it"
            )
        return {symbol: {"bars": str(place)}}
    return {symbol: _of_symbol(place, symbol, own, len(given) == 1) for symbol, own in given.items()}


def series_in(place: Path, given: Mapping[str, str]) -> dict[str, str]:
    """Path of each series, `given` by name, in the folder `place`: the file that is called as the run's."""
    out = {}
    for name, path in given.items():
        own = place / Path(path).name
        if not own.exists():
            raise ConfigError(f"{place}: the run was given the series {name}; put {own.name} there, with its new rows")
        out[name] = str(own)
    return out


def _of_symbol(place: Path, symbol: str, given: Mapping[str, str | None], alone: bool) -> dict[str, str]:
    folder = place / symbol
    if not folder.is_dir():
        if (file := place / f"{symbol}.parquet").is_file() and not any(given.get(role) for role in REQUIRED[1:]):
            return {"bars": str(file)}
        if not alone or not list(place.glob("*.parquet")):
            raise ConfigError(f"{place}: holds no folder {symbol}{_near(place, symbol)}")
        folder = place
    out = {}
    for role in ROLES:
        path = given.get(role)
        if not path:
            continue
        own = folder / Path(path).name
        if own.exists():
            out[role] = str(own)
        elif role in REQUIRED:
            others = sorted(folder.glob(f"{role}*.parquet"))
            if len(others) != 1:
                has = ", ".join(one.name for one in sorted(folder.glob("*"))[:8]) or "nothing"
                raise ConfigError(f"{folder}: has no {own.name}, the run's {role} of {symbol}; it has {has}")
            out[role] = str(others[0])
    return out


def _near(place: Path, symbol: str) -> str:
    names = sorted(one.stem for one in place.iterdir() if one.is_dir() or one.suffix == ".parquet")
    near = difflib.get_close_matches(symbol, names, n=1)
    if near:
        return f", did you mean {near[0]}?"
    return f"; it has {', '.join(names[:8]) or 'nothing'}"
