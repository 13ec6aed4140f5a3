"""How much a protobuf message would become in memory, found without making it."""

from __future__ import annotations

from typing import Any

from wfbt.errors import ArtifactError

MOST_MESSAGES = 200_000
MOST_FIELDS = 8_000_000
"""Two bytes of a file can become an object of two hundred; so objects are counted first."""

_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5


def check_weight(data: bytes, kind: Any, source: str) -> None:
    """Walk `data`, a message of the protobuf descriptor `kind`; ArtifactError when it is cut or holds too much."""
    messages = fields = 0
    waiting = [(0, len(data), kind)]
    while waiting:
        at, end, inside = waiting.pop()
        messages += 1
        nested = inside.fields_by_number
        while at < end:
            fields += 1
            if messages + len(waiting) > MOST_MESSAGES or fields > MOST_FIELDS:
                raise ArtifactError(f"{source}: must hold at most {MOST_MESSAGES:,} parts and {MOST_FIELDS:,} values")
            tag, at = _varint(data, at, end, source)
            wire = tag & 7
            if wire == _VARINT:
                _, at = _varint(data, at, end, source)
            elif wire == _LENGTH:
                length, at = _varint(data, at, end, source)
                field = nested.get(tag >> 3)
                if field is not None and field.message_type is not None:
                    waiting.append((at, at + length, field.message_type))
                at += length
            elif wire in (_EIGHT, _FOUR):
                at += 8 if wire == _EIGHT else 4
            else:
                raise ArtifactError(f"{source}: is damaged: no field of it has the wire type {wire}")
            if at > end:
                raise ArtifactError(f"{source}: is damaged: it is cut inside a field")


def _varint(data: bytes, at: int, end: int, source: str) -> tuple[int, int]:
    """A number of seven bits a byte, and where the next field begins."""
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ArtifactError(f"{source}: is damaged: it is cut inside a number")
