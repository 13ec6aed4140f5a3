"""The instructions of a pickle program, as data: the few that a dictionary of tensors is written in, and no others."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum

from wfbt.errors import ArtifactError


class Code(Enum):
    """The byte of each instruction that is understood, by the names of Python's own protocol."""

    PROTO = 0x80
    FRAME = 0x95
    STOP = ord(".")
    MARK = ord("(")
    NONE = ord("N")
    NEWTRUE = 0x88
    NEWFALSE = 0x89
    BININT = ord("J")
    BININT1 = ord("K")
    BININT2 = ord("M")
    LONG1 = 0x8A
    BINUNICODE = ord("X")
    SHORT_BINUNICODE = 0x8C
    EMPTY_TUPLE = ord(")")
    TUPLE = ord("t")
    TUPLE1 = 0x85
    TUPLE2 = 0x86
    TUPLE3 = 0x87
    EMPTY_DICT = ord("}")
    SETITEM = ord("s")
    SETITEMS = ord("u")
    BINPUT = ord("q")
    LONG_BINPUT = ord("r")
    MEMOIZE = 0x94
    BINGET = ord("h")
    LONG_BINGET = ord("j")
    GLOBAL = ord("c")
    STACK_GLOBAL = 0x93
    BINPERSID = ord("Q")
    REDUCE = ord("R")
    BUILD = ord("b")


Argument = int | str | None

_NUMBERS = {
    Code.PROTO: "<B",
    Code.FRAME: "<Q",
    Code.BININT: "<i",
    Code.BININT1: "<B",
    Code.BININT2: "<H",
    Code.BINPUT: "<B",
    Code.LONG_BINPUT: "<I",
    Code.BINGET: "<B",
    Code.LONG_BINGET: "<I",
}
_TEXTS = {Code.BINUNICODE: "<I", Code.SHORT_BINUNICODE: "<B"}


def instructions(program: bytes, source: str) -> Iterator[tuple[Code, Argument]]:
    """Each instruction and what it carries, up to STOP; ArtifactError on one that is not understood or is cut.

    GLOBAL carries module and name with a space between them.
    """
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        part = program[at : at + count]
        if len(part) != count:
            raise ArtifactError(f"{source} is damaged: it is cut at byte {at}")
        at += count
        return part

    def number(form: str) -> int:
        (found,) = struct.unpack(form, take(struct.calcsize(form)))
        return int(found)

    def line() -> str:
        end = program.find(b"\n", at)
        text = take(end - at if end >= 0 else len(program) + 1)
        take(1)
        return _text(text, "ascii", source)

    while True:
        byte = take(1)[0]
        try:
            code = Code(byte)
        except ValueError:
            raise ArtifactError(
                f"{source} uses the instruction 0x{byte:02x}, which no dictionary of tensors needs"
            ) from None
        argument: Argument = None
        if code in _NUMBERS:
            argument = number(_NUMBERS[code])
        elif code is Code.GLOBAL:
            argument = f"{line()} {line()}"
        elif code is Code.LONG1:
            argument = int.from_bytes(take(number("<B")), "little", signed=True)
        elif code in _TEXTS:
            argument = _text(take(number(_TEXTS[code])), "utf-8", source)
        yield code, argument
        if code is Code.STOP:
            return


def _text(data: bytes, encoding: str, source: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ArtifactError(f"{source} is damaged: it holds text that is not {encoding}") from None
