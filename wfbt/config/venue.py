"""A venue's fees, margin tiers and contracts as a file under a strategy: what the strategy itself says comes first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, RootModel, ValidationError

from wfbt.config.document import Key, read_file
from wfbt.config.messages import mistakes, nearest, sentence, shown, where
from wfbt.config.schema import Contract
from wfbt.config.section import Section
from wfbt.config.trading import FeeTiers, Tiers
from wfbt.config.values import Bps, PartOfOne, Rebatable, SymbolName
from wfbt.errors import ConfigError

FOLDER = Path(__file__).parents[1] / "venues"


class Account(Section):
    """What a venue asks of every account."""

    liquidation_fee_bps: Bps = 0.0
    maintenance: PartOfOne = 0.0


class Costs(Section):
    """What a venue charges."""

    maker_bps: Rebatable = 0.0
    taker_bps: Bps = 0.0
    fee_tiers: FeeTiers = ()


class Symbol(Section):
    """What a venue trades; a contract may leave keys to their defaults."""

    contract: Contract = Contract()
    tiers: Tiers | None = None


class Venue(Section):
    """The file of a venue, to check it: what the file leaves out says nothing, whatever it defaults to here."""

    account: Account = Account()
    costs: Costs = Costs()
    symbols: dict[SymbolName, Symbol] = Field(default={})


class TierFile(RootModel[dict[SymbolName, Tiers]]):
    """The file of `account.tiers`."""


def known() -> list[str]:
    """The venues that come with wfbt."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def under(tree: Mapping[str, Any], source: Path, origins: Mapping[Key, str]) -> dict[str, Any]:
    """A strategy's tree with what its venue and its file of tiers say filled in where the strategy says nothing.

    `origins` say where the strategy's keys stand.  ConfigError names the file that is wrong, and what named it.
    """
    out = dict(tree)
    account = tree.get("account")
    own = account if isinstance(account, dict) else {}
    if isinstance(own.get("tiers"), str):
        tiers = _read(source.parent / own["tiers"], TierFile, ("account", "tiers"), source, origins)
        out = _with_symbols(out, {symbol: {"tiers": rows} for symbol, rows in tiers.items()})
    if isinstance(name := tree.get("venue"), str):
        given = _read(_place_of(name, source, origins), Venue, ("venue",), source, origins)
        symbols = given.get("symbols", {})
        if "maintenance" in own:
            # A margin that the strategy names is not undone by the venue's tiers.
            symbols = {symbol: {**offered, "tiers": None} for symbol, offered in symbols.items()}
        out = _with_symbols(_with_sections(out, given), symbols)
    return out


def _place_of(name: str, source: Path, origins: Mapping[Key, str]) -> Path:
    """The file of a venue: one of wfbt's own by name, or a path that ends in .yaml, relative to the strategy file."""
    if name.endswith((".yaml", ".yml")):
        return source.parent / name
    if name not in known():
        near = nearest(name, known())
        text = f"venue must be {', '.join(known())} or the path of a .yaml file, was {shown(name)}"
        told = [(("venue",), text + (f"; did you mean {near}?" if near else ""))]
        raise ConfigError(mistakes(told, 1, origins, str(source)))
    return FOLDER / f"{name}.yaml"


def _read(
    path: Path, model: type[BaseModel], key: tuple[str, ...], source: Path, origins: Mapping[Key, str]
) -> dict[str, Any]:
    """The mapping of a file that the strategy names under `key`, once it is one that `model` takes."""
    try:
        document = read_file(path)
        if not isinstance(document.tree, dict):
            raise ConfigError(f"{path}: must be a mapping of keys to values")
    except ConfigError as error:
        origin = origins.get(key)
        named = f"{'.'.join(key)} of {source}" + (f", {origin}" if origin else "")
        raise ConfigError(f"{error} ({named})") from None
    try:
        model.model_validate(document.tree)
    except ValidationError as error:
        found = error.errors(include_url=False)
        told = ((where(one), sentence(one, model)) for one in found)
        lines = {key: f"line {line}" for key, line in document.lines.items()}
        raise ConfigError(mistakes(told, len(found), lines, str(path))) from None
    return document.tree


def _with_sections(tree: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(tree)
    for section in ("account", "costs"):
        own = tree.get(section)
        if own is None or isinstance(own, dict):
            offered = dict(given.get(section, {}))
            if own and ("maker_bps" in own or "taker_bps" in own):
                # A fee that the strategy names is not undone by the venue's ladder.
                offered.pop("fee_tiers", None)
            if merged := {**offered, **(own or {})}:
                out[section] = merged
    return out


def _with_symbols(tree: Mapping[str, Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(tree)
    data = tree.get("data")
    symbols = data.get("symbols") if isinstance(data, dict) else None
    if isinstance(data, dict) and isinstance(symbols, dict):
        out["data"] = data | {
            "symbols": {
                symbol: _over(offered[symbol], spec) if isinstance(spec, dict) and symbol in offered else spec
                for symbol, spec in symbols.items()
            }
        }
    return out


def _over(offered: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """What is offered of a symbol under what is said of it, key by key of its contract."""
    merged = {**offered, **spec}
    if isinstance(own := spec.get("contract"), dict):
        merged["contract"] = {**offered.get("contract", {}), **own}
    return merged
