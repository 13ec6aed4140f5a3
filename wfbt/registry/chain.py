"""Entries that name what they follow: a chain, or after a merge several that meet again.

An entry's hash is over the hashes of the entries that nothing had followed when it was written, and over what it
holds.  So whoever holds one hash can tell whether that entry and everything before it are unchanged.  The union of two
ledgers is the union of their entries: a common beginning is there once, and no order of merging can be told from
another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from wfbt.errors import TrialsError
from wfbt.registry.attempts import Attempt
from wfbt.registry.looks import OUT_OF_SAMPLE, Look
from wfbt.registry.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A look or an attempt in its place.

    Attributes
    ----------
    sha256 : str
        `entry_hash` of the parents and the record; kept elsewhere, it proves that all of them are still there.
    parents : tuple of str
        The entries it follows, sorted: none for the first one, several after a merge.
    depth : int
        1 for a first entry, else one more than its deepest parent.
    record : Record
    identity : str
        That of the record.
    """

    sha256: str
    parents: tuple[str, ...]
    depth: int
    record: Record
    identity: str

    @property
    def look(self) -> Look | None:
        """None where it is an attempt."""
        return self.record if isinstance(self.record, Look) else None

    @property
    def attempt(self) -> Attempt | None:
        """None where it is a look."""
        return self.record if isinstance(self.record, Attempt) else None


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


def entry_hash(parents: tuple[str, ...], text: str) -> str:
    """sha256 over what an entry follows and the canonical text of its record."""
    return hashlib.sha256(f"{' '.join(parents)}\n{text}".encode()).hexdigest()


def distinct_looks(entries: Iterable[Entry]) -> list[Look]:
    """Each look once, at its first place."""
    seen: dict[str, Look] = {}
    for one in entries:
        if one.look is not None:
            seen.setdefault(one.identity, one.look)
    return [*seen.values()]


def distinct_attempts(entries: Iterable[Entry]) -> list[Attempt]:
    """Each attempt once, at its first place."""
    seen: dict[str, Attempt] = {}
    for one in entries:
        if one.attempt is not None:
            seen.setdefault(one.identity, one.attempt)
    return [*seen.values()]


class Chain:
    """All entries of a ledger.

    Iterating gives parents before children, in an order that does not depend on how the ledger was merged.
    """

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._of_record: dict[str, list[Entry]] = {}
        self._ends: set[str] = set()

    def take(self, sha256: str, parents: tuple[str, ...], record: Record) -> None:
        """Add an entry whose hash was proved; TrialsError when what it follows is not here."""
        if sha256 in self._entries:
            raise TrialsError(f"the entry {sha256[:12]} is there twice")
        for parent in parents:
            if parent not in self._entries:
                raise TrialsError(f"the entry {parent[:12]}, which it follows, is not before it")
        depth = 1 + max((self._entries[parent].depth for parent in parents), default=0)
        one = Entry(sha256=sha256, parents=parents, depth=depth, record=record, identity=record.identity)
        self._entries[sha256] = one
        self._of_record.setdefault(one.identity, []).append(one)
        self._ends = self._ends.difference(parents) | {sha256}

    def first(self, record: Record) -> Entry | None:
        """The entry of a record, None where it was never made; of several that were merged, the least deep."""
        entries = self._of_record.get(record.identity)
        return min(entries, key=_place) if entries else None

    def before(self, record: Record) -> list[Entry]:
        """What came before the first entry of `record`, in the order of the chain; all where it was never made.

        What follows an entry of it came later and is left out.  What was written side by side and merged counts for
        each other: none can show that it came first.
        """
        own = {one.sha256 for one in self._of_record.get(record.identity, ())}
        later: set[str] = set()
        found = []
        for one in self:
            if one.sha256 in own or not later.isdisjoint(one.parents):
                later.add(one.sha256)
            else:
                found.append(one)
        return found

    def count(self, look: Look) -> Counts:
        """Looks up to the first entry of `look`, and with it; up to now where it was never recorded.  See `before`."""
        looks = [look, *distinct_looks(self.before(look))]
        alike = [one for one in looks if one.saw_days_of(look)]
        return Counts(
            family=sum(one.family == look.family and one.kind == OUT_OF_SAMPLE for one in looks),
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
