"""What validation finds, in the words of the strategy file: key, rule and value."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Tag

MOST_LINES = 5

Key = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[\w:/@+-][\w.:/@+= -]{0,79}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    by_lower = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word[:100].lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def key_text(path: Iterable[str | int]) -> str:
    """data.symbols.BTCUSDT.bars, policy.search.fast[2]"""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN_KEY.fullmatch(part) else shown(part))
    return text


def shown(value: Any) -> str:
    """A value as it would stand in the file, on one line and short."""
    readable = isinstance(value, str) and value.isprintable()
    text = json.dumps(value, default=str, ensure_ascii=not readable)
    return text if len(text) <= 60 else text[:57] + "..."


def _described(value: Any) -> str:
    """A value with its kind, for a rule about kinds."""
    match value:
        case None:
            return "null"
        case bool():
            return shown(value)
        case str():
            return f"the text {shown(value)}"
        case int() | float():
            return f"the number {shown(value)}"
        case list() | tuple():
            return "a list"
    return "a mapping"


_KINDS: Mapping[str, str] = {
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "none_required": "must be null",
}

_RULES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than": lambda c: f"must be > {c['gt']:g}",
    "greater_than_equal": lambda c: f"must be >= {c['ge']:g}",
    "less_than": lambda c: f"must be < {c['lt']:g}" + _hint(c["lt"]),
    "less_than_equal": lambda c: f"must be <= {c['le']:g}" + _hint(c["le"]),
    "too_short": lambda c: f"must have at least {c['min_length']} entry",
    "string_too_short": lambda c: "must not be empty",
    "string_too_long": lambda c: f"must be at most {c['max_length']} characters long",
    "finite_number": lambda c: "must be a finite number",
}


def _hint(bound: float) -> str:
    return " (a fraction: 0.05 means 5%)" if bound == 1 else ""


Finding = Mapping[str, Any]
"""One entry of `ValidationError.errors()`."""


def mistakes(told: Iterable[tuple[Key, str]], count: int, origins: Mapping[Key, str], source: str) -> str:
    """What is wrong with `source`, in at most five lines: `told` are paths and sentences, `count` says how many."""
    most = count if count <= MOST_LINES else MOST_LINES - 1
    lines = []
    for path, text in itertools.islice(told, most):
        origin = _origin(path, origins)
        lines.append(f"{source}: {text}" + (f" ({origin})" if origin else ""))
    if count > most:
        lines.append(f"{source}: and {count - most} more mistakes")
    return "\n".join(lines)


def _origin(path: Key, origins: Mapping[Key, str]) -> str | None:
    """Where the key stands, or the nearest section around it, or what opened its section."""
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    return next((origin for key, origin in origins.items() if path and key[: len(path)] == path), None)


def _tagged(found: Finding) -> tuple[str | int, ...]:
    return tuple(part for part in found["loc"] if part != "[key]")


def where(found: Finding) -> tuple[str | int, ...]:
    """The key path of a finding, without the marks of union members."""
    if found["type"] == "across":
        return _split(found["ctx"]["key"])
    return tuple(part for part in _tagged(found) if not str(part).startswith("@"))


def sentence(found: Finding, root: type[BaseModel]) -> str:
    """Key, rule and value of a finding; `root` knows which keys there are."""
    kind, value, context, path = found["type"], found["input"], found.get("ctx", {}), where(found)
    key = key_text(path)
    if kind == "across":
        return f"{context['key']} {found['msg']}, was {shown(context['value'])}"
    if kind == "missing":
        return f"{key} is required"
    if kind == "extra_forbidden":
        near = nearest(str(path[-1]), sorted(known_keys(root, _tagged(found)[:-1])))
        return f"unknown key {key}" + (f"; did you mean {near}?" if near else "")
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        near = nearest(value, choices) if isinstance(value, str) else None
        hint = f"; did you mean {near}?" if near else ""
        rule = f"must be {choices[0]}" if len(choices) == 1 else f"must be one of {', '.join(choices)}"
        return f"{key} {rule}, was {shown(value)}{hint}"
    if kind == "no_model" and isinstance(value, dict) and "model" in value:
        return f"{key}.model {found['msg'].replace('have a model:', 'be one of')}, was {shown(value['model'])}"
    if kind in _KINDS:
        return f"{key} {_KINDS[kind]}, was {_described(value)}{_advice(kind, value)}"
    if kind in _RULES:
        rule = _RULES[kind](context)
    else:
        rule = str(context["error"]) if kind == "value_error" else found["msg"]
    if isinstance(value, dict | list | tuple) and kind != "too_short":
        return f"{key} {rule}"
    return f"{key} {rule}, was {shown(value)}"


def _advice(kind: str, value: Any) -> str:
    if not isinstance(value, str):
        return ""
    if kind == "bool_type" and value.lower() in ("yes", "no", "on", "off", "true", "false"):
        return "; write true or false"
    if value.lower() in ("no", "off", "none"):
        return "; what can be switched off is switched off by null"
    if kind in ("float_type", "int_type") and re.fullmatch(r"[-+]?[0-9]*\.?[0-9]+", value, re.ASCII):
        return "; write it without leading zeros" if re.match(r"[-+]?0[0-9]", value) else "; write it without quotes"
    return ""


def _split(key: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"[.\[\]]+", key) if part)


def known_keys(root: type[BaseModel], path: Iterable[str | int]) -> set[str]:
    """The keys that the section at `path` understands."""
    shape: Any = root
    for part in path:
        shape = _inside(shape, part)
    model = _model(shape)
    return set(model.model_fields) if model else set()


def _inside(shape: Any, part: str | int) -> Any:
    """The type under one step of a path; a step such as @range picks the union member tagged so."""
    if get_origin(shape) is Annotated:
        return _inside(get_args(shape)[0], part)
    if model := _model(shape):
        return model.model_fields[str(part)].annotation if part in model.model_fields else None
    arguments = get_args(shape)
    for argument in arguments:
        if get_origin(argument) is Annotated and Tag(str(part)) in get_args(argument):
            return get_args(argument)[0]
    if get_origin(shape) is dict:
        return arguments[1]
    if get_origin(shape) is tuple:
        return arguments[0]
    members = [argument for argument in arguments if argument is not NoneType]
    return _inside(members[0], part) if len(members) == 1 else None


def _model(shape: Any) -> type[BaseModel] | None:
    """The one section that a type such as `Impact | None` may be."""
    if get_origin(shape) is Annotated:
        return _model(get_args(shape)[0])
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return shape
    members = [argument for argument in get_args(shape) if argument is not NoneType]
    if get_origin(shape) not in (dict, tuple, list) and len(members) == 1:
        return _model(members[0])
    return None
