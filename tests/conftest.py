from pathlib import Path

import pytest

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data():
    """The folder of real market data, where there is one."""
    if not REAL.is_dir():
        pytest.skip("the real market data are not beside this checkout")
    return REAL
