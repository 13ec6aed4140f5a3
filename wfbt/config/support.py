"""What a strategy file may ask for one day and this version refuses: silence would be a different experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wfbt.config.messages import key_text

Path = tuple[str | int, ...]

NOT_YET: Mapping[str, str] = {
    "data.symbols.*.book": "order books are not replayed",
    "engine=book": "order books are not replayed; use bars",
}
"""Key path, or key path=value, to the reason.  Delete the line when the thing exists.

* stands for any symbol and for any entry of a list.
"""


def refusals(tree: Any) -> list[tuple[Path, str]]:
    """Say which unsupported keys a document or a Strategy uses: (path, message without the file's name)."""
    found = []
    for row, reason in NOT_YET.items():
        pattern, _, value = row.partition("=")
        for path, given in _values(tree, tuple(pattern.split("."))):
            if given == value if value else not (given is None or given is False or given in ({}, [], ())):
                key = key_text(path) + (f": {value}" if value else "")
                found.append((path, f"{key} is not supported in this version: {reason}"))
    return found


def _values(node: Any, pattern: tuple[str, ...], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, node
        return
    if isinstance(node, Mapping):
        names = list(node) if pattern[0] == "*" else [pattern[0]] if pattern[0] in node else []
        for name in names:
            yield from _values(node[name], pattern[1:], (*path, name))
    elif isinstance(node, list | tuple):
        for index, item in enumerate(node if pattern[0] == "*" else ()):
            yield from _values(item, pattern[1:], (*path, index))
    elif hasattr(node, pattern[0]):
        yield from _values(getattr(node, pattern[0]), pattern[1:], (*path, pattern[0]))
