"""JSON from somebody else, held to the JSON Schema that wfbt publishes of it.

As much of draft 2020-12 as our own schemas use, and an error at what they do not: nothing is passed over.  A deployer's
side imports this module, so it stands on the standard library alone.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from wfbt.errors import ArtifactError, ConfigError

FOLDER = Path(__file__).parent / "schemas"
PUBLISHED = {"verdict": "verdict-1.json"}

Schema = Mapping[str, Any]

_NAMES = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_SAID = ("$schema", "$id", "$defs", "title", "description")
_HELD = (
    "$ref", "type", "const", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "items", "minItems",
    "maxItems", "properties", "required", "additionalProperties",
)  # fmt: skip


@cache
def schema_text(document: str) -> str:
    """The published schema of a document; ConfigError that lists them."""
    if document not in PUBLISHED:
        raise ConfigError(
            f"schema: must be one of {', '.join(PUBLISHED)}, was {_shown(document)}; no other is published"
        )
    return (FOLDER / PUBLISHED[document]).read_text(encoding="utf-8")


@cache
def schema(document: str) -> Schema:
    """The same, parsed."""
    tree: Schema = json.loads(schema_text(document))
    return tree


def parse(data: bytes, source: str, most: int) -> Any:
    """The tree in `data`; ArtifactError where it is longer than `most`, repeats a key or holds NaN or 1e999."""
    if len(data) > most:
        raise ArtifactError(f"{source}: must be at most {most:,} bytes long, is {len(data):,}")

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tree = dict(pairs)
        if len(tree) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ArtifactError(f"{source}: repeats the key {_shown(twice)}; keep one")
        return tree

    def constant(word: str) -> None:
        raise ArtifactError(f"{source}: holds {word}; a number must be finite")

    def number(text: str) -> float:
        if not math.isfinite(found := float(text)):
            raise ArtifactError(f"{source}: holds {_shown(text)}, which is too large for a number")
        return found

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=mapping, parse_constant=constant, parse_float=number)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{source}: is no JSON ({error}); take the file from where it was written") from None


def shaped(tree: Any, schema: Schema, source: str) -> Any:
    """The tree with its keys in the order of the schema; ArtifactError that names the key, the rule and the value."""
    return _shaped(tree, schema, schema, source, "")


def _shaped(tree: Any, schema: Schema, root: Schema, source: str, path: str) -> Any:
    if strange := [word for word in schema if word not in _HELD and word not in _SAID]:
        raise NotImplementedError(f"schema at {path or 'the top'}: {strange[0]} is not held")
    place = f"{source}: {path}" if path else source
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return _shaped(tree, root["$defs"][name], root, source, path)
    _check_value(tree, schema, place)
    if isinstance(tree, list) and "items" in schema:
        return [_shaped(one, schema["items"], root, source, f"{path}[{at}]") for at, one in enumerate(tree)]
    if isinstance(tree, dict) and "properties" in schema:
        known = schema["properties"]
        if missing := [name for name in schema.get("required", ()) if name not in tree]:
            raise ArtifactError(f"{place}: {missing[0]} is missing")
        if unknown := sorted(name for name in tree if name not in known):
            if schema.get("additionalProperties") is False:
                near = get_close_matches(unknown[0][:100], known, n=1)
                raise ArtifactError(
                    f"{place}: unknown key {_shown(unknown[0])}" + (f"; did you mean {near[0]}?" if near else "")
                )
        told = {
            name: _shaped(tree[name], known[name], root, source, f"{path}.{name}" if path else name)
            for name in known
            if name in tree
        }
        return told | {name: tree[name] for name in unknown}
    return tree


def _check_value(tree: Any, schema: Schema, place: str) -> None:
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if kinds and not any(_is(tree, kind) for kind in kinds):
        raise ArtifactError(f"{place} must be {' or '.join(_NAMES[kind] for kind in kinds)}, was {_shown(tree)}")
    allowed = [schema["const"]] if "const" in schema else schema.get("enum", ())
    if allowed and not any(type(tree) is type(one) and tree == one for one in allowed):
        raise ArtifactError(f"{place} must be {' or '.join(str(one) for one in allowed)}, was {_shown(tree)}")
    if isinstance(tree, str):
        # Whole, as $ alone would let a line end pass.
        if "pattern" in schema and not re.fullmatch(schema["pattern"], tree):
            raise ArtifactError(f"{place} must match {schema['pattern']}, was {_shown(tree)}")
        _check_range(len(tree), schema, ("minLength", "maxLength"), f"{place}: length")
    elif isinstance(tree, list):
        _check_range(len(tree), schema, ("minItems", "maxItems"), f"{place}: length")
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        _check_range(tree, schema, ("minimum", "maximum"), place)


def _check_range(number: float, schema: Schema, words: tuple[str, str], place: str) -> None:
    least, most = (schema.get(word) for word in words)
    if least is not None and number < least:
        raise ArtifactError(f"{place} must be >= {least}, was {number}")
    if most is not None and number > most:
        raise ArtifactError(f"{place} must be <= {most}, was {number}")


def _is(tree: Any, kind: str) -> bool:
    match kind:
        case "object":
            return isinstance(tree, dict)
        case "array":
            return isinstance(tree, list)
        case "string":
            return isinstance(tree, str)
        case "boolean":
            return isinstance(tree, bool)
        case "integer":
            return isinstance(tree, int) and not isinstance(tree, bool)
        case "number":
            return isinstance(tree, int | float) and not isinstance(tree, bool)
    return tree is None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
