"""A strategy file, with --set and its kind on top, as a validated Strategy, and back."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from wfbt.config.document import DEEPEST, Document, Key, canonical_json, read_file, read_text, write_text
from wfbt.config.messages import key_text, mistakes, nearest, sentence, shown, where
from wfbt.config.schema import Strategy, spell_latency
from wfbt.config.support import refusals
from wfbt.config.values import Duration, Time
from wfbt.config.venue import under
from wfbt.errors import ConfigError


def load_strategy(
    path: str | PathLike[str],
    overrides: Sequence[str] = (),
    folds: int | None = None,
    scheme: str | None = None,
    seed: int | None = None,
) -> Strategy:
    """Read, override and validate a strategy file.

    `overrides` are the arguments of --set, "a.b=VALUE", VALUE in YAML, applied in order; `folds`, `scheme` and `seed`
    then replace folds.count, folds.scheme and seed.  Whatever is wrong becomes one ConfigError of at most five lines,
    each naming file, key, rule and value.
    """
    source = Path(path)
    document = read_file(source)
    if not isinstance(document.tree, dict):
        found = "empty" if document.tree is None else "a list" if isinstance(document.tree, list) else "a single value"
        raise ConfigError(f"{source}: must be a mapping of keys to values, is {found}")
    origins: dict[Key, str] = {key: f"line {line}" for key, line in document.lines.items()}
    for text in overrides:
        asked, value = _parse_override(text)
        key = _override(document.tree, asked, value, f"--set {key_text([text])}", str(source))
        origins = {known: line for known, line in origins.items() if known[: len(key)] != key}
        origins[key] = f"--set {key_text(key)}"
    options: tuple[tuple[str, Key, int | str | None], ...] = (
        ("--folds", ("folds", "count"), folds),
        ("--scheme", ("folds", "scheme"), scheme),
        ("--seed", ("seed",), seed),
    )
    for option, key, given in options:
        if given is not None:
            _override(document.tree, key, given, option, str(source))
            origins[key] = option
    _without_effect(document.tree, origins, str(source))
    document = replace(document, tree=under(document.tree, source, origins))
    strategy = _validate(document, origins, str(source))
    strategy._base = source.parent
    return strategy


def _without_effect(tree: Mapping[str, Any], origins: Mapping[Key, str], source: str) -> None:
    """Refuse a fee set from outside that the file's own ladder of fees would silently keep from mattering."""
    costs = tree.get("costs")
    for name in ("maker_bps", "taker_bps"):
        origin = origins.get(("costs", name), "")
        if origin.startswith("--set") and isinstance(costs, dict) and costs.get("fee_tiers"):
            raise ConfigError(
                f"{source}: costs.{name} changes nothing beside costs.fee_tiers; set costs.fee_tiers=[] too ({origin})"
            )


def resolved(strategy: Strategy) -> dict[str, Any]:
    """The strategy as plain values, every default filled in; sections in the order of the schema, other keys sorted."""
    plain = _plain(strategy)
    assert isinstance(plain, dict)
    return plain


def dump_yaml(tree: Mapping[str, Any]) -> str:
    """YAML text of plain values; a dumped `resolved` loads to an equal Strategy."""
    return write_text(dict(tree))


def canonical_bytes(strategy: Strategy) -> bytes:
    """What a strategy is, for hashing: wherever its file lies and however its keys are ordered and commented."""
    return canonical_json(resolved(strategy))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Duration | Time):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _validate(document: Document, origins: Mapping[Key, str], source: str) -> Strategy:
    tree = document.tree
    refused = refusals(tree)
    for unserved, _ in refused:
        tree = _without(tree, unserved)
    strategy, findings = None, []
    try:
        strategy = Strategy.model_validate(tree)
    except ValidationError as error:
        # What is missing only because it was refused is not a second mistake.
        findings = [f for f in error.errors(include_url=False) if not any(_related(where(f), r) for r, _ in refused)]
    if strategy is not None and not refused:
        return strategy
    latency = document.tree.get("latency", {})
    bare = not isinstance(latency, dict) or "model" in latency

    def told() -> Iterator[tuple[Key, str]]:
        for path, text in itertools.chain(refused, ((where(f), sentence(f, Strategy)) for f in findings)):
            if bare and path[:2] == ("latency", "order"):
                path, text = ("latency", *path[2:]), text.replace("latency.order", "latency")
            yield path, text

    raise ConfigError(mistakes(told(), len(refused) + len(findings), origins, source))


def _related(path: Key, refused: Key) -> bool:
    shared = min(len(path), len(refused))
    return path[:shared] == refused[:shared]


def _without(tree: Any, path: Key) -> Any:
    if isinstance(tree, list):
        return [_without(value, path[1:]) if index == path[0] else value for index, value in enumerate(tree)]
    if len(path) == 1:
        return {key: value for key, value in tree.items() if key != path[0]}
    return {key: _without(value, path[1:]) if key == path[0] else value for key, value in tree.items()}


def _parse_override(text: str) -> tuple[Key, Any]:
    name, equals, value = text.partition("=")
    parts = tuple(name.strip().split("."))
    if not equals or not all(parts) or len(parts) > DEEPEST:
        raise ConfigError(f"--set must be key=value such as costs.taker_bps=5, was {shown(text)}")
    return parts, read_text(value, f"--set {key_text(parts)}").tree


def _override(tree: dict[str, Any], path: Key, value: Any, option: str, source: str) -> Key:
    """Put `value` at `path`, opening sections on the way; return the path with dotted symbols in one piece."""
    if path[0] == "latency" and "latency" in tree:
        tree["latency"] = spell_latency(tree["latency"])
    node: Any = tree
    done: Key = ()
    while True:
        # A symbol may have dots in its name: the longest key that is there wins.
        names = [str(part) for part in path]
        joined = next((n for n in range(len(path), 1, -1) if ".".join(names[:n]) in node), 1)
        name, path = ".".join(names[:joined]), path[joined:]
        done = (*done, name)
        if not path:
            node[name] = value
            return done
        if done[:2] == ("data", "symbols") and len(done) == 3 and name not in node:
            near = nearest(name, node)
            hint = f"; did you mean {near}?" if near else f"; the file has {', '.join(node) or 'none'}"
            raise ConfigError(f"{source}: unknown symbol {key_text(done)}{hint} ({option})")
        if node.get(name) is None:
            node[name] = {}
        node = node[name]
        if not isinstance(node, dict):
            kind = "a list" if isinstance(node, list) else "a single value"
            raise ConfigError(f"{source}: {key_text(done)} is {kind}; set it whole instead ({option})")
