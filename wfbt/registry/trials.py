"""The trial ledger: every look at out-of-sample data and every attempt at the gate.

It is a file that can grow and cannot be rewritten unnoticed.  It is SQLite with a rollback journal and full syncs: what
`record` returned lasts through a kill and a power cut, and when no process writes, the one file is everything, to be
copied as it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from wfbt.errors import ConfigError, TrialsError, TrialsUnavailable
from wfbt.files import sync_folder
from wfbt.registry.attempts import Attempt
from wfbt.registry.chain import Chain, Counts, Entry, entry_hash
from wfbt.registry.looks import Look
from wfbt.registry.records import Record, keyed, read_record, spelled
from wfbt.registry.tried import Tried, tried

FILE, PLACE = "trials.sqlite", "WFBT_TRIALS"
BUSY = 60.0
"""Seconds to wait for another process that writes."""

APPLICATION_ID = 0x77666274  # "wfbt"
SCHEMA_VERSION = 1
_REFUSED = "BEGIN SELECT RAISE(ABORT, 'the trial ledger is append-only'); END"
SCHEMA = (
    "CREATE TABLE weeks (sha256 TEXT PRIMARY KEY, marks TEXT NOT NULL)",
    "CREATE TABLE entries (row INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, "
    "parents TEXT NOT NULL, look TEXT NOT NULL)",
    f"CREATE TRIGGER weeks_update BEFORE UPDATE ON weeks {_REFUSED}",
    f"CREATE TRIGGER weeks_delete BEFORE DELETE ON weeks {_REFUSED}",
    f"CREATE TRIGGER entries_update BEFORE UPDATE ON entries {_REFUSED}",
    f"CREATE TRIGGER entries_delete BEFORE DELETE ON entries {_REFUSED}",
    # INSERT OR REPLACE deletes, and no trigger sees it.
    "CREATE TRIGGER entries_insert BEFORE INSERT ON entries "
    "WHEN NEW.row IS NOT (SELECT COALESCE(MAX(row), 0) + 1 FROM entries) "
    f"OR EXISTS (SELECT 1 FROM entries WHERE sha256 = NEW.sha256) {_REFUSED}",
)

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PLACE = (
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
)  # fmt: skip


def ledger_file(given: str | os.PathLike[str] | None, reports: str | os.PathLike[str] | None) -> Path:
    """Where the ledger is: as `given`, else as WFBT_TRIALS says, else in the reports folder."""
    named = given or os.environ.get(PLACE)
    if named and "://" in str(named):
        raise ConfigError(f"{'trials' if given else PLACE}: {named} must be a file of this machine; copy it here first")
    return Path(named or Path(reports or "reports") / FILE)


class Trials:
    """A trial ledger on disk, read and proved.

    TrialsError where the file was edited or cut, TrialsUnavailable where it cannot be read or written.
    """

    def __init__(self, path: Path, timeout: float = BUSY) -> None:
        """Use `open`."""
        self.path = path
        self._timeout = timeout
        self._chain = Chain()
        self._last = ""
        self._weeks: dict[str, frozenset[str]] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool = False, timeout: float = BUSY) -> Trials:
        """Read and prove the ledger at `path`; with `create` an empty one is made where no file is.

        A file of no bytes is refused: something emptied it.
        """
        trials = cls(Path(path), timeout)
        with trials._refusing():
            if not os.path.lexists(path):
                if not create:
                    raise TrialsUnavailable("there is no trial ledger; wfbt run makes one")
                _make(trials.path)
        with trials._connected() as connection:
            trials._catch_up(connection)
        return trials

    @classmethod
    def check_place(cls, path: str | os.PathLike[str], timeout: float = BUSY) -> None:
        """Refuse now what would refuse a look that took hours: a ledger that is damaged, or a place without leave."""
        if os.path.lexists(path):
            trials = cls.open(path, timeout=timeout)
            with trials._connected() as connection, trials._writing(connection):
                connection.execute("ROLLBACK")
            return
        there = next(parent for parent in Path(path).absolute().parents if parent.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise TrialsUnavailable(
                f"{path}: the trial ledger cannot be written there ({there} is no folder that can be written to); name "
                "another place with trials: in the strategy or with WFBT_TRIALS"
            )

    def record(self, records: Iterable[Record]) -> list[Entry]:
        """Add those records that are not there; the first entry of each."""
        records = list(records)
        if any(self._chain.first(one) is None for one in records):
            self._add(records)
        return [entry for one in records if (entry := self._chain.first(one)) is not None]

    def count(self, look: Look) -> Counts:
        """Looks by its family, and by anyone at the days it saw, up to its first entry: `Chain.count`."""
        return self._chain.count(look)

    def attempt(self, attempt: Attempt) -> Tried:
        """Record an attempt, before it is judged; what was tried up to its first entry."""
        (entry,) = self.record([attempt])
        return tried(attempt, entry, self._chain.before(attempt))

    def merge(self, other: Trials) -> int:
        """Take in every entry of `other` that is not here; how many were."""
        with self._connected() as connection, self._writing(connection):
            rows = [
                (one.sha256, one.parents, one.record, *spelled(one.record))
                for one in other
                if one.sha256 not in self._chain
            ]
            self._insert(connection, rows)
        return len(rows)

    def head(self) -> str:
        """Hash of the last entry; of a merged ledger that of each end, joined by "+"; of an empty one nothing."""
        return "+".join(self._chain.ends)

    def contains(self, head: str) -> bool:
        """Whether the ledger, when it had this head, is the beginning of this one."""
        return all(end in self._chain for end in head.split("+") if end)

    def verify(self, heads: Iterable[str] = ()) -> list[str]:
        """Read the file anew: what is damaged, edited or cut, and which of `heads` it does not hold."""
        try:
            again = Trials.open(self.path, timeout=self._timeout)
            with again._connected() as connection:
                told = [_text(text) for (text,) in connection.execute("PRAGMA integrity_check")]
        except TrialsError as error:
            return [str(error)]
        return [f"{self.path}: {text}" for text in told if text != "ok"] + [
            f"{self.path}: the head {head} is not in it: it was cut, or that is the head of another ledger"
            for head in heads
            if not again.contains(head)
        ]

    def __iter__(self) -> Iterator[Entry]:
        """Entries, parents before children, in an order that no merge changes."""
        return iter(self._chain)

    def __len__(self) -> int:
        return len(self._chain)

    def _add(self, records: list[Record]) -> None:
        with self._connected() as connection, self._writing(connection):
            parents, new = self._chain.ends, {}
            for record in records:
                if record.identity in new or self._chain.first(record) is not None:
                    continue
                text, key, marks = spelled(record)
                sha256 = entry_hash(parents, text)
                new[record.identity] = (sha256, parents, record, text, key, marks)
                parents = (sha256,)
            self._insert(connection, list(new.values()))

    def _insert(
        self, connection: sqlite3.Connection, rows: list[tuple[str, tuple[str, ...], Record, str, str, str]]
    ) -> None:
        """Write entries, and hold them once they are committed."""
        for row, (sha256, parents, _, text, key, marks) in enumerate(rows, start=len(self._chain) + 1):
            connection.execute("INSERT OR IGNORE INTO weeks VALUES (?, ?)", (key, marks))
            connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?)", (row, sha256, " ".join(parents), text))
        connection.execute("COMMIT")
        for sha256, parents, record, *_ in rows:
            self._hold(sha256, parents, record)

    def _hold(self, sha256: str, parents: tuple[str, ...], record: Record) -> None:
        self._chain.take(sha256, parents, record)
        self._last = sha256

    def _catch_up(self, connection: sqlite3.Connection) -> None:
        """Read and prove what is in the file and not yet held."""
        held = len(self._chain)
        if held:
            last = connection.execute("SELECT sha256 FROM entries WHERE row = ?", (held,)).fetchone()
            if last is None or _text(last[0]) != self._last:
                raise TrialsError(f"row {held} was there and is gone: the ledger was cut or exchanged")
        rows = "SELECT row, sha256, parents, look FROM entries WHERE row > ? ORDER BY row"
        for number, row in enumerate(connection.execute(rows, (held,)), start=held + 1):
            try:
                self._prove(connection, number, row)
            except TrialsError as error:
                raise TrialsError(
                    f"row {number} was edited, or a row before it taken out: {error}; restore a copy"
                ) from error

    def _prove(self, connection: sqlite3.Connection, number: int, row: tuple[Any, ...]) -> None:
        if row[0] != number:
            raise TrialsError(f"the next one is numbered {row[0]}")
        sha256, parents, text = (_text(value) for value in row[1:])
        follows = tuple(parents.split(" ")) if parents else ()
        if entry_hash(follows, text) != sha256:
            raise TrialsError("its hash is not that of what it holds")
        self._hold(sha256, follows, read_record(text, lambda key: self._marks(connection, key)))

    def _marks(self, connection: sqlite3.Connection, key: str) -> frozenset[str]:
        if key not in self._weeks:
            found = connection.execute("SELECT marks FROM weeks WHERE sha256 = ?", (key,)).fetchone()
            marks = frozenset(_text(found[0]).split()) if found else frozenset()
            if found is None or (key, _text(found[0])) != keyed(marks):
                raise TrialsError("the marks of its weeks are missing or changed")
            self._weeks[key] = marks
        return self._weeks[key]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """A connection for one operation: a file that took the place of another is not written behind its back."""
        with self._refusing():
            if self.path.stat().st_size == 0:
                raise TrialsError("is empty, so it was cut; restore a copy")
            # Never creates a file.  Of a kill it finds the journal, and rolls back what was not committed.
            address = f"{self.path.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(address, uri=True, timeout=self._timeout, isolation_level=None)
            with contextlib.closing(connection):
                connection.text_factory = bytes
                connection.execute("PRAGMA synchronous = EXTRA")
                connection.execute("BEGIN")
                self._check_kind(connection)
                yield connection

    def _check_kind(self, connection: sqlite3.Connection) -> None:
        """Refuse a database that is no trial ledger, or whose tables and triggers are not the ones it was made with."""
        kind, version, pages, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "page_count", "page_size")
        )
        if self.path.stat().st_size != pages * size:
            # SQLite would read on in zeros.
            raise TrialsError("was cut or added to: it is not as long as it says; restore a copy")
        if kind != APPLICATION_ID:
            raise TrialsError("is a database, but no trial ledger")
        if version > SCHEMA_VERSION:
            raise TrialsError(f"was written by a newer wfbt (schema {version}, known {SCHEMA_VERSION})")
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
        if tuple(_text(sql) for (sql,) in made) != SCHEMA or version != SCHEMA_VERSION:
            raise TrialsError("its tables or triggers were changed; restore a copy")

    @contextlib.contextmanager
    def _writing(self, connection: sqlite3.Connection) -> Iterator[None]:
        """A transaction that starts from what others have added."""
        connection.execute("ROLLBACK")
        connection.execute("BEGIN IMMEDIATE")
        self._catch_up(connection)
        yield

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Say in words what was refused, and of which file."""
        try:
            yield
        except TrialsError as error:
            raise type(error)(f"{self.path}: {error}") from error
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # SQLite's own messages quote what is damaged
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> TrialsError:
        code = getattr(error, "sqlite_errorcode", None)
        primary = None if code is None else code & 0xFF
        if primary in _BUSY:
            return TrialsUnavailable(
                f"{self.path}: another process has kept the trial ledger locked for {self._timeout:g} s; wait for it "
                "and run again"
            )
        if isinstance(error, OSError) or primary in _PLACE:
            return TrialsUnavailable(
                f"{self.path}: the trial ledger cannot be read and written there ({error}); name another place with "
                "trials: in the strategy or with WFBT_TRIALS"
            )
        return TrialsError(f"{self.path}: is no trial ledger, or a damaged one ({error}); restore a copy")


def _make(path: Path) -> None:
    """Put an empty ledger at `path`, whole; where another process was faster, its ledger stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with contextlib.closing(sqlite3.connect(aside, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("BEGIN")
            for statement in (*SCHEMA, f"PRAGMA application_id = {APPLICATION_ID}"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    sync_folder(path.parent)


def _text(value: object) -> str:
    try:
        if isinstance(value, bytes):
            return value.decode("utf-8")
    except UnicodeDecodeError:
        pass
    raise TrialsError("a text of the ledger is none any more")


def check_head(head: str) -> str:
    """A head as it was given, ConfigError when it is none."""
    if not re.fullmatch(r"[0-9a-f]{64}(\+[0-9a-f]{64})*", head):
        raise ConfigError(f"--head must be 64 hex digits, several joined by +, was {head!r}; manifest.json keeps one")
    return head


def told(trials: Trials, look: Look, cells: Sequence[Look] = ()) -> dict[str, Any]:
    """Record a look; what result.json says of it: counts and head as of its first entry, so that a rerun says the same.

    `cells` were seen beside it and come first, so that they count for it.  The file is named without its folder: the
    same run says the same on every machine.
    """
    *_, entry = trials.record([*cells, look])
    # The look itself may have been taken before, without its cells.
    counts = max((trials.count(one) for one in (*cells, look)), key=lambda one: (one.anyone, one.family))
    return {
        "looks_by_family": counts.family,
        "looks_by_anyone": counts.anyone,
        "candidates_in_folds": counts.candidates,
        "head": entry.sha256,
        "file": trials.path.name,
    }
