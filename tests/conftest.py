from pathlib import Path

import pytest

from wfbt.validation import gauntlet, isolation

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data():
    """The folder of real market data, where there is one."""
    if not REAL.is_dir():
        pytest.skip("the real market data are not beside this checkout")
    return REAL


class Believed:
    """Stands in for the process of its own in which a run asks a policy again: it finds nothing.

    Each real one starts Python anew, a second for every run of the suite.  What it finds is tested in tests/leaks and
    seen in the examples; the command line always starts it.
    """

    def __init__(self, policy, at_home=False):
        self.policy, self.asked = policy, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, prefixes):
        self.asked = len(prefixes)

    def answers(self):
        return isolation.Isolated(heard=(isolation.Heard(),) * self.asked)


REALLY_ASKED = ("leaks", "test_examples.py", "test_trained_examples.py", "test_honesty.py")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    really = any(part in REALLY_ASKED for part in item.path.relative_to(item.config.rootpath).parts)
    gauntlet.Process = isolation.Process if really else Believed


@pytest.fixture(autouse=True, scope="session")
def _own_trials():
    """Runs of the tests are looks at made-up data; they stay out of the ledger of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("WFBT_TRIALS", raising=False)
        yield
