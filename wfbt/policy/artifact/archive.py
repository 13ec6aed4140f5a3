"""Zip files from somebody else: nothing is unpacked to disk, and nothing larger than it may be is unpacked at all."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

from wfbt.errors import ArtifactError

MOST_ENTRIES = 4_096
MOST_BYTES = 256 * 2**20
MOST_RATIO = 100

# All that zipfile is known to raise on bytes that are no zip, or one that lies.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
    IndexError,
    KeyError,
)


class Archive:
    """The entries of a zip in memory, each read whole on request.

    ArtifactError when it is no zip; when a name leaves its folder or stands there twice; when an entry is a link, is
    encrypted, overlaps another or unpacks to more than MOST_RATIO times its size; when there are more than MOST_ENTRIES
    entries or MOST_BYTES bytes.
    """

    def __init__(self, data: bytes, source: str) -> None:
        self.source = source
        # zipfile builds an object for each entry of the directory before anybody can count them.
        if data.count(b"PK\x01\x02") > MOST_ENTRIES:
            raise ArtifactError(f"{source}: must hold at most {MOST_ENTRIES} entries")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise ArtifactError(f"{source}: is not a zip file that can be read: {error}") from None
        self._entries: dict[str, zipfile.ZipInfo] = {}
        total = 0
        for entry in self._zip.infolist():
            self._check(entry)
            self._entries[entry.filename] = entry
            total += entry.file_size
        if total > MOST_BYTES:
            raise ArtifactError(f"{source}: must unpack to at most {MOST_BYTES:,} bytes, says {total:,}")
        self._check_overlap()

    def _check(self, entry: zipfile.ZipInfo) -> None:
        # What was written, before zipfile cut it at a NUL or turned its slashes.
        name = entry.orig_filename
        where = f"{self.source}: entry {name[:80]!r}"
        parts = name.split("/")
        if not name.isprintable() or "\\" in name or ":" in name or name.startswith("/") or ".." in parts:
            raise ArtifactError(f"{where} has a name that leads out of the archive")
        if entry.filename in self._entries:
            raise ArtifactError(f"{where} stands there twice; programs differ in which of the two they read")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ArtifactError(f"{where} is a link or device, not a file")
        if entry.flag_bits & 0x1:
            raise ArtifactError(f"{where} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ArtifactError(f"{where} is compressed by method {entry.compress_type}; stored or deflated is read")
        if entry.file_size > MOST_RATIO * max(entry.compress_size, 64):
            raise ArtifactError(
                f"{where} unpacks {entry.compress_size:,} bytes to {entry.file_size:,}; "
                f"at most {MOST_RATIO} times as many are read"
            )

    def _check_overlap(self) -> None:
        end = 0
        for entry in sorted(self._entries.values(), key=lambda entry: entry.header_offset):
            if entry.header_offset < end:
                raise ArtifactError(f"{self.source}: entry {entry.filename[:80]!r} overlaps the one before it")
            end = entry.header_offset + 30 + len(entry.orig_filename) + entry.compress_size

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all entries, in their order."""
        return tuple(self._entries)

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """The bytes of one entry; ArtifactError when it is absent, longer than `most`, or damaged."""
        entry = self._entries.get(name)
        if entry is None:
            raise ArtifactError(f"{self.source}: holds no {name}; it holds {', '.join(self.names)[:200] or 'nothing'}")
        where = f"{self.source}: {name}"
        if entry.file_size > most:
            raise ArtifactError(f"{where} must be at most {most:,} bytes long, says {entry.file_size:,}")
        try:
            with self._zip.open(entry) as stream:
                data = stream.read(entry.file_size + 1)
        except _BROKEN as error:
            raise ArtifactError(f"{where} is damaged: {error}") from None
        if len(data) != entry.file_size:
            raise ArtifactError(f"{where} must be {entry.file_size:,} bytes long, is not")
        return data
