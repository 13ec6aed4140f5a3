"""What all sections of a strategy file share."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """No unknown keys, no guessing between text, numbers and booleans."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def tag_of_model(value: Any) -> str | None:
    """Which of several sections a mapping means: the tag @twap for {model: twap}, None where it names no model."""
    model = value.get("model") if isinstance(value, dict) else getattr(value, "model", None)
    return f"@{model}" if isinstance(model, str) else None
