"""Indicators that many candidates of a screen share, computed once.

A screen asks the same columns for the same averages hundreds of times.  A column is recognised by where it lies in
memory, so nothing has to be compared or hashed; only columns that stay alive and unchanged are remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]

MOST_BYTES = 64 * 2**20


class Memo:
    """Values of functions of shared columns, the least recently used forgotten beyond `most` bytes.

    Parameters
    ----------
    columns : (T,) float64 each
        Contiguous and read-only; they are kept alive, so their addresses stay theirs.
    """

    def __init__(self, columns: Iterable[F8], most: int = MOST_BYTES) -> None:
        self._columns = {(column.ctypes.data, len(column)): column for column in columns}
        for column in self._columns.values():
            assert column.flags.c_contiguous and not column.flags.writeable
        self._most, self._bytes = most, 0
        self._known: OrderedDict[Hashable, F8] = OrderedDict()
        self._lock = Lock()

    def recall(self, function: str, n: int, columns: Sequence[F8], compute: Callable[[], F8]) -> F8:
        """`compute()`, or a copy of what it gave for the same function, length and shared columns."""
        places = [(column.ctypes.data, len(column)) for column in columns]
        if not all(place in self._columns for place in places):
            return compute()
        key = (function, n, *places)
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
        if known is None:
            known = compute()
            with self._lock:
                if key not in self._known:
                    self._known[key] = known
                    self._bytes += known.nbytes
                while self._bytes > self._most and self._known:
                    self._bytes -= self._known.popitem(last=False)[1].nbytes
        # The caller may write to what it gets, as it may without a memo.
        return known.copy()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let indicators of this thread recall."""
        token = _IN_USE.set(self)
        try:
            yield
        finally:
            _IN_USE.reset(token)


_IN_USE: ContextVar[Memo | None] = ContextVar("memo", default=None)


def recall(function: str, n: int, columns: Sequence[F8], compute: Callable[[], F8]) -> F8:
    """`compute()`, through the memo in use if there is one."""
    memo = _IN_USE.get()
    return compute() if memo is None else memo.recall(function, n, columns, compute)
