"""The tensors of a file that torch saved, without torch and without running what stands in it.

Such a file is a zip: one pickle program that says how tensors lie in storages, and the storages as raw bytes.  A pickle
is a list of instructions.  Here they are only looked at: of the few that a dictionary of tensors needs, each is given
its meaning below, and no other is obeyed.  So there is nothing a file could call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.errors import ArtifactError
from wfbt.policy.artifact.archive import Archive
from wfbt.policy.artifact.instructions import Code, instructions

MOST_PROGRAM = 1_000_000
MOST_VALUES = 32 * 2**20
MOST_AXES = 8


class _Known(Enum):
    """The only names a program may ask for."""

    DICT = "collections OrderedDict"
    TENSOR = "torch._utils _rebuild_tensor_v2"


_STORAGES = {
    "torch DoubleStorage": "<f8",
    "torch FloatStorage": "<f4",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "|i1",
    "torch ByteStorage": "|u1",
    "torch BoolStorage": "|b1",
}


@dataclass(frozen=True, slots=True)
class _Kind:
    code: str


@dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    storage: npt.NDArray[Any]
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def view(self) -> npt.NDArray[Any]:
        """The tensor in its storage, read-only; bounds were checked."""
        steps = tuple(step * self.storage.itemsize for step in self.strides)
        return np.lib.stride_tricks.as_strided(self.storage[self.offset :], self.shape, steps, writeable=False)


def read_state(data: bytes, source: str) -> dict[str, npt.NDArray[Any]]:
    """Tensors by name of the state dictionary in `data`, read-only views; ArtifactError on anything else."""
    archive = Archive(data, source)
    programs = [name for name in archive.names if name.endswith("/data.pkl")]
    if len(programs) != 1:
        raise ArtifactError(f"{source}: is no file of tensors: it must hold one data.pkl, holds {len(programs)}")
    root = programs[0].removesuffix("data.pkl")
    if f"{root}byteorder" in archive.names and archive.read(f"{root}byteorder", 16) != b"little":
        raise ArtifactError(f"{source}: must be little-endian, says otherwise in {root}byteorder")
    program = archive.read(programs[0], MOST_PROGRAM)
    tree = _Machine(f"{source}: {programs[0]}", archive, root).run(program)
    if not isinstance(tree, dict):
        raise ArtifactError(f"{source}: must be a dictionary of tensors, is none")
    tensors: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in tree.items():
        if not isinstance(tensor, _Tensor):
            raise ArtifactError(f"{source}: {str(name)[:80]!r} must be a tensor, is none")
        tensors[name] = tensor.view()
    return tensors


class _Machine:
    """A stack, a memo and the instructions of a dictionary of tensors."""

    def __init__(self, source: str, archive: Archive, root: str) -> None:
        self.source = source
        self.archive = archive
        self.root = root
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, npt.NDArray[Any]] = {}
        self.values = 0
        self.handlers: Mapping[Code, Callable[[Any], None]] = {
            Code.PROTO: lambda _: None,
            Code.FRAME: lambda _: None,
            Code.NONE: lambda _: self.stack.append(None),
            Code.NEWTRUE: lambda _: self.stack.append(True),
            Code.NEWFALSE: lambda _: self.stack.append(False),
            **dict.fromkeys((Code.BININT, Code.BININT1, Code.BININT2, Code.LONG1), self.stack.append),
            **dict.fromkeys((Code.BINUNICODE, Code.SHORT_BINUNICODE), self.stack.append),
            Code.EMPTY_TUPLE: lambda _: self.stack.append(()),
            Code.EMPTY_DICT: lambda _: self.stack.append({}),
            Code.MARK: lambda _: self.marks.append(len(self.stack)),
            Code.TUPLE: lambda _: self.stack.append(tuple(self.to_mark())),
            Code.TUPLE1: lambda _: self.stack.append(tuple(self.last(1))),
            Code.TUPLE2: lambda _: self.stack.append(tuple(self.last(2))),
            Code.TUPLE3: lambda _: self.stack.append(tuple(self.last(3))),
            **dict.fromkeys((Code.BINPUT, Code.LONG_BINPUT), self.remember),
            Code.MEMOIZE: lambda _: self.remember(len(self.memo)),
            **dict.fromkeys((Code.BINGET, Code.LONG_BINGET), lambda at: self.stack.append(self.memo[at])),
            Code.GLOBAL: lambda name: self.stack.append(self.known(name)),
            Code.STACK_GLOBAL: lambda _: self.stack.append(self.known(" ".join(self.last(2)))),
            Code.BINPERSID: lambda _: self.stack.append(self.storage(*self.last(1))),
            Code.REDUCE: lambda _: self.stack.append(self.made(*self.last(2))),
            Code.SETITEM: lambda _: self.fill(self.last(2)),
            Code.SETITEMS: lambda _: self.fill(self.to_mark()),
            Code.BUILD: lambda _: self.describe(*self.last(1)),
        }

    def wrong(self, text: str) -> ArtifactError:
        return ArtifactError(f"{self.source} {text}")

    def run(self, program: bytes) -> Any:
        try:
            for code, argument in instructions(program, self.source):
                if code is not Code.STOP:
                    self.handlers[code](argument)
            (tree,) = self.stack
        except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise self.wrong(f"is damaged: {type(error).__name__}: {str(error)[:120]}") from None
        return tree

    def remember(self, at: int) -> None:
        self.memo[at] = self.stack[-1]

    def last(self, count: int) -> list[Any]:
        """Take `count` values off the stack, but none from under the last mark."""
        floor = self.marks[-1] if self.marks else 0
        if len(self.stack) - count < floor:
            raise IndexError("takes more than there is")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def to_mark(self) -> list[Any]:
        begin = self.marks.pop()
        taken = self.stack[begin:]
        del self.stack[begin:]
        return taken

    def known(self, name: str) -> _Known | _Kind:
        if name in _STORAGES:
            return _Kind(_STORAGES[name])
        try:
            return _Known(name)
        except ValueError:
            asked = ".".join(name.split(" "))[:120]
            raise self.wrong(f"asks for {asked}; tensors need nothing but themselves, and it was not obeyed") from None

    def storage(self, told: Any) -> npt.NDArray[Any]:
        word, kind, key, _, length = told
        if word != "storage" or not isinstance(kind, _Kind) or not isinstance(key, str) or not _whole(length):
            raise self.wrong("names something that is no storage")
        dtype = np.dtype(kind.code)
        if key not in self.storages:
            raw = self.archive.read(f"{self.root}data/{key}")
            if len(raw) != length * dtype.itemsize:
                raise self.wrong(
                    f"says that storage {key[:40]} holds {length} numbers of {dtype}; it has {len(raw)} bytes"
                )
            self.storages[key] = np.frombuffer(raw, dtype)
        found = self.storages[key]
        if found.dtype != dtype or len(found) != length:
            raise self.wrong(f"describes storage {key[:40]} in two ways")
        return found

    def made(self, what: Any, given: Any) -> Any:
        if what is _Known.DICT and given == ():
            return {}
        if what is _Known.TENSOR and isinstance(given, tuple):
            return self.tensor(*given)
        raise self.wrong("calls something; only tensors are made, and it was not obeyed")

    def tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        numbers = (offset, *shape, *strides)
        if not isinstance(storage, np.ndarray) or not all(map(_whole, numbers)) or len(shape) != len(strides):
            raise self.wrong("describes a tensor that is none")
        if len(shape) > MOST_AXES:
            raise self.wrong(f"describes a tensor of {len(shape)} axes; at most {MOST_AXES} are read")
        count = prod(shape)
        self.values += count
        reach = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) if count else offset
        if count > len(storage) or reach >= max(len(storage), 1) or offset > len(storage):
            raise self.wrong(
                f"describes a tensor of shape {shape}, strides {strides} at {offset}, which its storage of "
                f"{len(storage)} numbers does not hold"
            )
        if self.values > MOST_VALUES:
            raise self.wrong(f"describes more than {MOST_VALUES:,} numbers")
        return _Tensor(storage, offset, shape, strides)

    def fill(self, pairs: list[Any]) -> None:
        tree = self.stack[-1]
        if not isinstance(tree, dict) or len(pairs) % 2:
            raise self.wrong("fills something that is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(key, str):
                raise self.wrong("has a key that is no text")
            if key in tree:
                raise self.wrong(f"gives {key[:80]!r} twice")
            tree[key] = value

    def describe(self, _: Any) -> None:
        # torch hangs its own version numbers on the dictionary; they say nothing about the tensors.
        if not isinstance(self.stack[-1], dict):
            raise self.wrong("changes something that is no dictionary")


def _whole(number: Any) -> bool:
    return type(number) is int and 0 <= number < 2**40
