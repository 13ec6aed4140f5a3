"""Read a strategy file's YAML into plain values: strictly, within limits, remembering lines.

Scalars follow YAML 1.2, so `no`, `12:30` and `010` are text and `1e-3` is a number.  Dates stay text: the schema knows
which keys are times.  Anchors, aliases and tags are refused; nothing in a strategy file needs them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from wfbt.config.messages import key_text, nearest
from wfbt.errors import ConfigError

MOST_BYTES = 1_000_000
MOST_VALUES = 50_000
DEEPEST = 20
NO_ANCHORS = "uses an anchor or alias (& or *); write the value out, in quotes if it is text"

INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)", re.ASCII)
DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*(?:_[0-9]+)*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A tree of mappings, lists and scalars, and the line on which each key stands."""

    tree: Any
    lines: dict[Key, int] = field(default_factory=dict)


def read_file(path: Path) -> Document:
    """Read the YAML file at `path`; ConfigError when it is missing, too large, not UTF-8 or not strict YAML."""
    source = str(path)
    try:
        if not path.exists():
            raise ConfigError(f"{source}: no such file{_neighbour(path)}")
        if not path.is_file():
            raise ConfigError(f"{source}: must be a YAML file, is not a regular file")
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"{source}: cannot be read: {reason}") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{source}: must be at most {MOST_BYTES} bytes long")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{source}: must be UTF-8 text, line {line} is not") from None
    return read_text(text, source)


def read_text(text: str, source: str) -> Document:
    """Read one YAML document; `source` names it in messages."""
    lines: dict[Key, int] = {}
    try:
        events = yaml.parse(text, Loader=yaml.SafeLoader)
        return Document(tree=_Reader(events, source, lines).document(), lines=lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark and error.context in ("while scanning an alias", "while scanning an anchor"):
            raise ConfigError(f"{source}: line {mark.line + 1} {NO_ANCHORS}") from None
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{source}: is not valid YAML{where}: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigError(f"{source}: line {line} holds a control character, which YAML forbids") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The scanner lets an impossible \U escape or a version of five thousand digits through to Python.
        first_line = str(error).partition("\n")[0]
        raise ConfigError(f"{source}: is not valid YAML: {first_line}") from None


class _Reader:
    """One pass over the parser's events: limits hold before anything is built."""

    def __init__(self, events: Iterator[Any], source: str, lines: dict[Key, int]) -> None:
        self.events = events
        self.source = source
        self.lines = lines
        self.values = 0

    def document(self) -> Any:
        tree: Any = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.error(event, "starts a second document; a strategy file holds one")
                tree = self.node(next(self.events), ())
        return tree

    def error(self, event: Any, text: str) -> ConfigError:
        return ConfigError(f"{self.source}: line {_line(event)} {text}")

    def node(self, event: Any, path: Key) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self.error(event, NO_ANCHORS)
        if event.tag is not None:
            raise self.error(event, "uses a tag (!); write a plain value, in quotes if it is text")
        self.values += 1
        if self.values > MOST_VALUES:
            raise self.error(event, f"is too much: a strategy file holds at most {MOST_VALUES} values")
        if len(path) > DEEPEST:
            raise self.error(event, f"is nested more than {DEEPEST} levels deep")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(inner, (*path, len(items))))
            return items
        return self.mapping(path)

    def mapping(self, path: Key) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self.error(event, "has a key that is not text")
            key = self.node(event, path)
            if not isinstance(key, str):
                raise self.error(
                    event, f"has the key {event.value[:40] or 'null'}, which is not text; put it in quotes"
                )
            here = (*path, key)
            if key in out:
                raise self.error(event, f"repeats the key {key_text(here)} of line {self.lines[here]}; keep one")
            self.lines[here] = _line(event)
            out[key] = self.node(next(self.events), here)
        return out

    def scalar(self, event: Any, path: Key) -> Any:
        text: str = event.value
        if event.style is None and event.implicit[0]:
            if text in CONSTANTS:
                return CONSTANTS[text]
            if INTEGER.fullmatch(text):
                if len(text) > 25 or abs(int(text)) >= 2**63:
                    raise self.error(event, f"{_has(path)} a whole number beyond 64 bits")
                return int(text)
            if NOT_FINITE.fullmatch(text):
                raise self.error(event, f"{_has(path)} {text}; a number must be finite")
            if DECIMAL.fullmatch(text):
                number = float(text)
                if not math.isfinite(number):
                    raise self.error(event, f"{_has(path)} a number that is too large for a float")
                return number + 0.0  # so that -0.0 and 0.0 are one value
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self.error(event, f"{_has(path)} half a character (a lone surrogate escape)") from None
        return text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _has(path: Key) -> str:
    return f"gives {key_text(path)}" if path else "is"


def _neighbour(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent} either"
    near = nearest(path.name, [p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml")])
    return f"; did you mean {path.parent / near}?" if near else ""


class _Dumper(yaml.SafeDumper):
    """Quotes whatever this reader or a YAML 1.1 reader would not take for text; dates may stay bare."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()
}
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^(?:{DECIMAL.pattern})$"), list("-+.0123456789"))


def write_text(tree: Any) -> str:
    """YAML that `read_text` reads back to an equal tree."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


def canonical_json(tree: Any) -> bytes:
    """One spelling for equal trees: sorted keys, no spaces."""
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")
