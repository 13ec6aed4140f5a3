"""Books that show a fixed number of levels, against the states that they showed."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.book.feeds import NOW, START, stamps
from wfbt.data.book import shown
from wfbt.data.book.parquet import open_book
from wfbt.data.book.shown import changes
from wfbt.data.book.stream import Feed

LEVELS = 3
STATES = st.lists(
    st.dictionaries(st.integers(1, 8), st.integers(1, 3), max_size=LEVELS).map(lambda held: sorted(held.items())),
    min_size=1,
    max_size=12,
)


def arrays(states):
    price, size = np.full((len(states), LEVELS), np.nan), np.zeros((len(states), LEVELS))
    for row, held in enumerate(states):
        for level, (tick, lots) in enumerate(held):
            price[row, level], size[row, level] = tick, lots
    return price, size


@settings(max_examples=200, deadline=None)
@given(states=STATES, room=st.sampled_from([1, 20, 1 << 22]))
def test_changes_turn_each_state_into_the_next(states, room):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shown, "ROOM", room)
        at, side, price, size = changes(*arrays([[], *states]), -1)
    assert set(side) <= {-1}
    held = {}
    for row, state in enumerate(states):
        for k in np.flatnonzero(at == row):
            # Nothing is said that was so before.
            assert held.get(price[k], 0) != size[k]
            held[price[k]] = size[k]
        held = {tick: lots for tick, lots in held.items() if lots}
        assert held == dict(state)


def test_a_file_of_shown_levels_is_the_same_book_in_any_batches(tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    n = 40
    bid = 1000 + np.cumsum(rng.integers(-1, 2, n))
    columns = {"ts": stamps(START + 10**9 * np.arange(n))}
    for k in range(2):
        columns |= {
            f"bid_px_{k}": (bid - k) / 10, f"bid_qty_{k}": rng.integers(1, 5, n).astype(float),
            f"ask_px_{k}": (bid + 1 + k) / 10, f"ask_qty_{k}": rng.integers(1, 5, n).astype(float),
        }  # fmt: skip
    path = tmp_path / "shown.parquet"
    pq.write_table(pa.table(columns), path)
    for batch in (1 << 17, 7):
        monkeypatch.setattr("wfbt.data.book.parquet.BATCH", batch)
        files = open_book(str(path))
        feed = Feed(files.chunks(), files.grid, now=NOW)
        parts = list(feed.run())
        assert feed.log.findings() == []
        rows = np.concatenate([part.ends.row for part in parts])
        assert np.concatenate([part.best.bid for part in parts]).tolist() == bid[rows].tolist()
        assert feed.book.levels()[1].tolist() == [bid[-1], bid[-1] - 1, bid[-1] + 1, bid[-1] + 2]
        assert sum(int((part.rows.snapshot & part.rows.last).sum()) for part in parts) == 1
