"""Entries that name what they follow: a chain, or after a merge several that meet again.

An entry's hash is over the hashes of the entries that nothing had followed when it was written, and over its look.  So
whoever holds one hash can tell whether that entry and everything before it are unchanged.  The union of two ledgers is
the union of their entries: a common beginning is there once, and no order of merging can be told from another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from wfbt.errors import TrialsError
from wfbt.registry.looks import OUT_OF_SAMPLE, Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A look in its place.

    Attributes
    ----------
    sha256 : str
        `entry_hash` of the parents and the look; kept elsewhere, it proves that all of them are still there.
    parents : tuple of str
        The entries it follows, sorted: none for the first one, several after a merge.
    depth : int
        1 for a first entry, else one more than its deepest parent.
    look : Look
    """

    sha256: str
    parents: tuple[str, ...]
    depth: int
    look: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How often this was tried, up to the first entry of a look and with it.

    Attributes
    ----------
    family : int
        Looks by its family, at whatever data.
    anyone : int
        Looks by anyone at days that it saw too: the N of the default gate.
    candidates : int
        Tried inside the folds of those.
    """

    family: int
    anyone: int
    candidates: int


def entry_hash(parents: tuple[str, ...], look: str) -> str:
    """sha256 over what an entry follows and the canonical text of its look."""
    return hashlib.sha256(f"{' '.join(parents)}\n{look}".encode()).hexdigest()


class Chain:
    """All entries of a ledger.

    Iterating gives parents before children, in an order that does not depend on how the ledger was merged.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._of_look: dict[str, list[Entry]] = {}
        self._ends: set[str] = set()

    def take(self, sha256: str, parents: tuple[str, ...], look: Look) -> None:
        """Add an entry whose hash was proved; TrialsError when what it follows is not here."""
        if sha256 in self._entries:
            raise TrialsError(f"the entry {sha256[:12]} is there twice")
        for parent in parents:
            if parent not in self._entries:
                raise TrialsError(f"the entry {parent[:12]}, which it follows, is not before it")
        depth = 1 + max((self._entries[parent].depth for parent in parents), default=0)
        one = Entry(sha256=sha256, parents=parents, depth=depth, look=look)
        self._entries[sha256] = one
        self._of_look.setdefault(look.identity, []).append(one)
        self._ends = self._ends.difference(parents) | {sha256}

    def first(self, look: Look) -> Entry | None:
        """The entry of a look, None where it was never recorded; of several that were merged, the least deep."""
        entries = self._of_look.get(look.identity)
        return min(entries, key=_place) if entries else None

    def count(self, look: Look) -> Counts:
        """Looks up to the first entry of `look`, and with it; up to now where it was never recorded.

        What follows an entry of this look came later and is left out.  Looks that were taken side by side and merged
        are counted for each other: none can show that it came first.
        """
        later: set[str] = set()
        seen = {look.identity: look}
        for one in self:
            if one.look.identity == look.identity or not later.isdisjoint(one.parents):
                later.add(one.sha256)
            else:
                seen.setdefault(one.look.identity, one.look)
        alike = [one for one in seen.values() if one.saw_days_of(look)]
        return Counts(
            family=sum(one.family == look.family and one.kind == OUT_OF_SAMPLE for one in seen.values()),
            anyone=sum(one.kind == OUT_OF_SAMPLE for one in alike),
            candidates=sum(one.candidates for one in alike),
        )

    @property
    def ends(self) -> tuple[str, ...]:
        """The entries that nothing follows, sorted: what the next one follows."""
        return tuple(sorted(self._ends))

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._entries.values(), key=_place))

    def __len__(self) -> int:
        return len(self._entries)


def _place(one: Entry) -> tuple[int, str]:
    return one.depth, one.sha256
