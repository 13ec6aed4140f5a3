"""What an entry of the ledger holds, a look or an attempt, and how it is spelled there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from wfbt.errors import TrialsError
from wfbt.registry.attempts import KIND, Attempt
from wfbt.registry.looks import Look

Record = Look | Attempt


def spelled(record: Record) -> tuple[str, str, str]:
    """The canonical text of a record, the key of its weeks, and their marks."""
    key, marks = keyed(record.weeks)
    return record.to_text(key), key, marks


def keyed(weeks: frozenset[str]) -> tuple[str, str]:
    """Many records share the weeks of a market, so they are stored once, under their hash."""
    marks = " ".join(sorted(weeks))
    return hashlib.sha256(marks.encode()).hexdigest(), marks


def read_record(text: str, weeks: Callable[[str], frozenset[str]]) -> Record:
    """The record that `text` spells; TrialsError where it spells none.  `weeks` has the marks of their key."""
    told = _mapping(text)
    what, kind = ("attempt", Attempt) if told.get("kind") == KIND else ("look", Look)
    if kind is Attempt:
        del told["kind"]
    if {*told} != {*kind.__dataclass_fields__} or not isinstance(told["weeks"], str):
        raise TrialsError(f"its {what} has other fields than {'an attempt' if kind is Attempt else 'a look'}")
    key = told["weeks"]
    told["weeks"] = weeks(key)
    if kind is Attempt:
        told["thresholds"] = _thresholds(told["thresholds"])
    record: Record = kind(**told)
    if record.to_text(key) != text:
        raise TrialsError(f"its {what} is not spelled as one is")
    return record


def _mapping(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TrialsError(f"what it holds is no JSON ({error})") from error
    if not isinstance(told, dict):
        raise TrialsError("what it holds is neither a look nor an attempt")
    return told


def _thresholds(told: Any) -> tuple[Any, ...]:
    if not isinstance(told, list) or not all(isinstance(one, list) and len(one) == 3 for one in told):
        raise TrialsError("its attempt has thresholds that are none")
    return tuple(tuple(one) for one in told)
