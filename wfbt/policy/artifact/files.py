"""Bytes of a file that somebody else wrote, read once: what is hashed is what is parsed."""

from __future__ import annotations

import stat
from pathlib import Path

from wfbt.errors import ArtifactError


def read_whole(path: Path, most: int) -> bytes:
    """The bytes at `path`; ArtifactError when it is absent, no regular file, or longer than `most`."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ArtifactError(f"{path}: must be a regular file")
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ArtifactError(f"{path}: cannot be read: {reason}") from None
    if len(data) > most:
        raise ArtifactError(f"{path}: must be at most {most:,} bytes long")
    return data
