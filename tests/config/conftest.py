"""A minimal strategy file and a way to load variations of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wfbt.config.load import load_strategy
from wfbt.config.schema import Strategy
from wfbt.errors import ConfigError

MINIMAL = """\
name: trend
data: {start: 2020-01-01, end: 2023-01-01, symbols: {BTCUSDT: {bars: btc.parquet}, BRK.B: {bars: brk.parquet}}}
policy: {rule: sma_cross}
"""


@pytest.fixture
def minimal() -> str:
    return MINIMAL


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Strategy]:
    """Load the minimal file with text after it, or bytes instead of it."""

    def loaded(text: str | bytes = "", overrides: tuple[str, ...] = (), **options: object) -> Strategy:
        path = tmp_path / "strategy.yaml"
        path.write_bytes(text if isinstance(text, bytes) else (MINIMAL + text).encode())
        return load_strategy(path, overrides, **options)

    return loaded


@pytest.fixture
def refusal(load: Callable[..., Strategy], tmp_path: Path) -> Callable[..., str]:
    """The message that a text is refused with, the folder cut off."""

    def refused(text: str | bytes = "", overrides: tuple[str, ...] = (), **options: object) -> str:
        with pytest.raises(ConfigError) as caught:
            load(text, overrides, **options)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refused
