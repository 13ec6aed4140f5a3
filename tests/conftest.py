from pathlib import Path

import pytest

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data():
    """The folder of real market data, where there is one."""
    if not REAL.is_dir():
        pytest.skip("the real market data are not beside this checkout")
    return REAL


@pytest.fixture(autouse=True, scope="session")
def _own_trials():
    """Runs of the tests are looks at made-up data; they stay out of the ledger of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WFBT_TRIALS", raising=False)
        yield
