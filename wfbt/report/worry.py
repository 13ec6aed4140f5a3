"""The sentence of a section that says what of its numbers would worry a reader."""

from __future__ import annotations

from collections.abc import Sequence

from wfbt.simulation.worries import NO_WORRY


def worry(found: Sequence[str], otherwise: str) -> str:
    """What was found, as one sentence; that nothing worries and why, where nothing was."""
    if not found:
        return f"{NO_WORRY}: {otherwise}."
    text = "; ".join(found)
    return f"{text[0].upper()}{text[1:]}."


def unworried(text: str) -> bool:
    """Does the sentence say that nothing worries?"""
    return text.startswith(NO_WORRY)
