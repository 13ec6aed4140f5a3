"""Between frozen dataclasses and plain trees: each field by its declared type, each mistake by its key."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from wfbt.config.messages import key_text, nearest, shown
from wfbt.config.values import Duration, Time
from wfbt.errors import ArtifactError, WfbtError

Key = tuple[str | int, ...]

_PLAIN: Mapping[type, str] = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
T = TypeVar("T")


def read(kind: type[T], tree: Any, source: str) -> T:
    """A `kind` made of `tree`; ArtifactError that names source, key, rule and value."""
    return cast(T, _Reader(source).value(kind, tree, ()))


def plain(value: Any) -> Any:
    """The tree that `read` makes an equal value of."""
    if dataclasses.is_dataclass(value):
        tree = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__.lower(), **tree} if type(value).__name__ in _TAGGED else tree
    if isinstance(value, Duration | Time | StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [plain(inner) for inner in value]
    return value


_TAGGED = ("Discrete", "Continuous")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


class _Unknown(ArtifactError):
    """Keys that are null and must not be: told together, as whoever completes a template wants them."""

    def __init__(self, source: str, paths: list[Key]) -> None:
        self.paths = paths
        keys = ", ".join(key_text(path) or "the file" for path in paths)
        one = len(paths) == 1
        super().__init__(
            f"{source}: {keys} {'is' if one else 'are'} null, which says that "
            f"{'it is not known; write what it is' if one else 'they are not known; write what they are'}"
        )


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source

    def wrong(self, path: Key, text: str) -> ArtifactError:
        return ArtifactError(f"{self.source}: {key_text(path) or 'the file'} {text}")

    def value(self, kind: Any, tree: Any, path: Key) -> Any:
        if get_origin(kind) in (Union, UnionType):
            return self.one_of(get_args(kind), tree, path)
        if tree is None:
            raise _Unknown(self.source, [path])
        if get_origin(kind) is tuple:
            return self.several(get_args(kind), tree, path)
        if get_origin(kind) is Mapping:
            inner = get_args(kind)[1]
            return {key: self.value(inner, one, (*path, key)) for key, one in self.mapping(tree, path).items()}
        if dataclasses.is_dataclass(kind):
            return self.record(cast(type, kind), self.mapping(tree, path), path)
        if issubclass(kind, Duration | Time):
            return self.moment(kind, tree, path)
        if issubclass(kind, StrEnum):
            return self.choice(kind, tree, path)
        return self.scalar(kind, tree, path)

    def one_of(self, kinds: tuple[Any, ...], tree: Any, path: Key) -> Any:
        if tree is None and NoneType in kinds:
            return None
        kinds = tuple(kind for kind in kinds if kind is not NoneType)
        if len(kinds) == 1:
            return self.value(kinds[0], tree, path)
        if all(dataclasses.is_dataclass(kind) for kind in kinds):
            return self.tagged(kinds, tree, path)
        if isinstance(tree, list):
            return tuple(self.one_of(kinds, one, (*path, n)) for n, one in enumerate(tree))
        if isinstance(tree, bool | int | float | str):
            return tree
        raise self.wrong(path, f"must be a number, text, true, false, null or a list of these, was {_kind(tree)}")

    def tagged(self, kinds: tuple[Any, ...], tree: Any, path: Key) -> Any:
        if tree is None:
            raise _Unknown(self.source, [path])
        by_name = {kind.__name__.lower(): kind for kind in kinds}
        rest = dict(self.mapping(tree, path))
        name = rest.pop("kind", None)
        if not isinstance(name, str) or name not in by_name:
            raise self.wrong((*path, "kind"), f"must be one of {', '.join(by_name)}, was {shown(name)}")
        return self.record(by_name[name], rest, path)

    def record(self, kind: type, tree: dict[str, Any], path: Key) -> Any:
        hints = _hints(kind)
        names = [field.name for field in dataclasses.fields(kind)]
        for key in tree:
            if key not in names:
                near = nearest(key, names)
                raise self.wrong((*path, key), "is no key" + (f"; did you mean {near}?" if near else ""))
        if missing := [name for name in names if name not in tree]:
            raise self.wrong((*path, missing[0]), "is missing; a manifest says everything, null where it is not known")
        values: dict[str, Any] = {}
        unknown: list[Key] = []
        for name in names:
            try:
                values[name] = self.value(hints[name], tree[name], (*path, name))
            except _Unknown as error:
                unknown += error.paths
        if unknown:
            raise _Unknown(self.source, unknown)
        try:
            return kind(**values)
        except WfbtError as error:
            raise ArtifactError(f"{self.source}: {key_text(path)}{'.' if path else ''}{error}") from None

    def several(self, kinds: tuple[Any, ...], tree: Any, path: Key) -> Any:
        if not isinstance(tree, list):
            raise self.wrong(path, f"must be a list, was {_kind(tree)}")
        if kinds[-1] is Ellipsis:
            return tuple(self.value(kinds[0], one, (*path, n)) for n, one in enumerate(tree))
        if len(tree) != len(kinds):
            raise self.wrong(path, f"must be a list of {len(kinds)}, has {len(tree)}")
        return tuple(self.value(kind, one, (*path, n)) for n, (kind, one) in enumerate(zip(kinds, tree, strict=True)))

    def mapping(self, tree: Any, path: Key) -> dict[str, Any]:
        if not isinstance(tree, dict):
            raise self.wrong(path, f"must be a mapping of keys to values, was {_kind(tree)}")
        for key in tree:
            if not key or not key.isprintable():
                raise self.wrong(path, f"has the key {shown(key)}; a key is printable text")
        return tree

    def moment(self, kind: type[Duration] | type[Time], tree: Any, path: Key) -> Any:
        try:
            return kind.parse(tree)
        except ValueError as error:
            raise self.wrong(path, f"{error}, was {shown(tree)}") from None

    def choice(self, kind: type[StrEnum], tree: Any, path: Key) -> Any:
        known = [one.value for one in kind]
        if tree not in known:
            near = nearest(tree, known) if isinstance(tree, str) else None
            hint = f"; did you mean {near}?" if near else ""
            raise self.wrong(path, f"must be one of {', '.join(known)}, was {shown(tree)}{hint}")
        return kind(tree)

    def scalar(self, kind: type, tree: Any, path: Key) -> Any:
        accepted = (int, float) if kind is float else (kind,)
        if type(tree) not in accepted:
            raise self.wrong(path, f"must be {_PLAIN[kind]}, was {_kind(tree)}")
        if kind is str:
            if not tree.isprintable():
                raise self.wrong(path, f"must be printable text, was {shown(tree)}")
            return tree
        return float(tree) if kind is float else tree


def _kind(tree: Any) -> str:
    match tree:
        case None:
            return "null"
        case bool():
            return "true" if tree else "false"
        case str():
            return f"the text {shown(tree)}"
        case int() | float():
            return f"the number {shown(tree)}"
        case list():
            return "a list"
    return "a mapping"
