"""A venue's fees, margin tiers and contracts as a file under a strategy: what the strategy itself says comes first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wfbt.config.document import read_file
from wfbt.errors import ConfigError

FOLDER = Path(__file__).parents[1] / "venues"
SECTIONS = {"account": ("liquidation_fee_bps", "maintenance"), "costs": ("maker_bps", "taker_bps", "fee_tiers")}
OF_SYMBOL = ("contract", "tiers")


def known() -> list[str]:
    """The venues that come with wfbt."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def place_of(name: str, source: Path) -> Path:
    """The file of a venue: one of wfbt's own by name, or a path that ends in .yaml, relative to the strategy file."""
    if name.endswith((".yaml", ".yml")):
        return source.parent / name
    if name not in known():
        raise ConfigError(
            f"{source}: venue: unknown {name!r}; wfbt knows {', '.join(known())}, or give the path of a .yaml file"
        )
    return FOLDER / f"{name}.yaml"


def under(tree: Mapping[str, Any], source: Path) -> dict[str, Any]:
    """A strategy's tree with what its venue and its file of tiers say filled in where the strategy says nothing."""
    out = dict(tree)
    account = tree.get("account")
    if isinstance(account, dict) and isinstance(account.get("tiers"), str):
        path = source.parent / account["tiers"]
        tiers = read_file(path).tree
        if not isinstance(tiers, dict):
            raise ConfigError(f"{path}: must map symbols to lists of tiers")
        out = _with_symbols(out, {symbol: {"tiers": own} for symbol, own in tiers.items()})
    if isinstance(name := tree.get("venue"), str):
        path = place_of(name, source)
        given = read_file(path).tree
        _check(given, path)
        out = _with_symbols(_with_sections(out, given), given.get("symbols") or {})
    return out


def _with_sections(tree: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(tree)
    for section, keys in SECTIONS.items():
        own = tree.get(section)
        if own is None or isinstance(own, dict):
            offered = {key: value for key, value in (given.get(section) or {}).items() if key in keys}
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
                symbol: {**offered[symbol], **spec} if isinstance(spec, dict) and symbol in offered else spec
                for symbol, spec in symbols.items()
            }
        }
    return out


def _check(given: Any, path: Path) -> None:
    def only(node: Any, keys: tuple[str, ...], where: str) -> None:
        if not isinstance(node, dict):
            raise ConfigError(f"{path}: {where} must be a mapping")
        for key in node:
            if key not in keys:
                raise ConfigError(f"{path}: unknown key {key!r} in {where}; valid are {', '.join(keys)}")

    only(given, (*SECTIONS, "symbols"), "a venue")
    for section, keys in SECTIONS.items():
        if section in given:
            only(given[section], keys, section)
    if "symbols" in given:
        if not isinstance(given["symbols"], dict):
            raise ConfigError(f"{path}: symbols must be a mapping")
        for symbol, spec in given["symbols"].items():
            only(spec, OF_SYMBOL, f"symbols.{symbol}")
