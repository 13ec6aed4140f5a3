"""Phrases that the package's messages share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wfbt.config.messages import nearest


def near(name: Any, known: Iterable[Any]) -> str:
    """`, did you mean …?` when something known is spelt alike, else nothing."""
    close = nearest(str(name), [str(one) for one in known])
    return f", did you mean {close}?" if close else ""


def at(stamp: Any) -> str:
    """A bar's close time as messages write it."""
    return f"{stamp:%Y-%m-%d %H:%M:%S}Z"
