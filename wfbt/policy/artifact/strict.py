"""JSON from somebody else: within limits, without repeats, and with nothing that is no number."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from wfbt.config.messages import shown
from wfbt.errors import ArtifactError

MOST_BYTES = 4_000_000
DEEPEST = 16

# The closing mark is optional, so that text without one is passed over once and not from each of its marks anew.
_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)


def parse_json(data: bytes, source: str, *, most: int = MOST_BYTES, finite: bool = True) -> Any:
    """The tree in `data`; ArtifactError when it is too large or deep, repeats a key, or holds NaN or Infinity.

    With `finite` false such constants become null: other programs write them where no number of ours stands.
    """
    if len(data) > most:
        raise ArtifactError(f"{source}: must be at most {most:,} bytes long, is {len(data):,}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{source}: must be UTF-8 text, byte {error.start} is not") from None
    _check_depth(text, source)

    def number(word: str) -> float | None:
        value = float(word)
        if math.isfinite(value):
            return value
        if finite:
            raise ArtifactError(f"{source}: holds {shown(word)}; a number must be finite")
        return None

    def whole(word: str) -> int | float | None:
        return int(word) if len(word) <= 19 else number(word)

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key, value in pairs:
            if key in tree:
                raise ArtifactError(f"{source}: repeats the key {shown(key)}; keep one")
            tree[key] = value
        return tree

    try:
        return json.loads(text, object_pairs_hook=mapping, parse_float=number, parse_int=whole, parse_constant=number)
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{source}: is not valid JSON at line {error.lineno}: {error.msg}") from None


def _check_depth(text: str, source: str) -> None:
    depth = 0
    for mark in re.findall(r"[\[\]{}]", _TEXT.sub("", text)):
        depth += 1 if mark in "[{" else -1
        if depth > DEEPEST:
            raise ArtifactError(f"{source}: is nested more than {DEEPEST} levels deep")
