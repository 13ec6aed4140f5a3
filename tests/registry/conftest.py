import os
import tempfile
from pathlib import Path

import pytest


@pytest.fixture
def memory():
    """A folder that syncs at once, where there is one: what a kill does to a file does not depend on the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)
