"""The ladder of levels against dictionaries, with rings so small that they move all the time."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfbt.kernels import ladder as kernel
from wfbt.kernels._jit import njit
from wfbt.kernels.ladder import NOTHING, clear_side, clear_to, empty_ladder, has_mid, make_way, mid, moves, shown
from wfbt.kernels.sparse import roomier

pytestmark = pytest.mark.kernel


@njit
def show(ladder, s, step, lots):
    """What was stored, or −1 where the map is too full."""
    if moves(ladder, s, step) and not make_way(ladder, s, step, lots):
        return -1
    return kernel.show(ladder, s, step, lots)


@njit
def below(ladder, s, step):
    return kernel.next_below(ladder, s, step)


@njit
def displayed(ladder, s, step):
    return shown(ladder, s, step)


@njit
def clear(ladder, s):
    clear_side(ladder, s)


@njit
def cut(ladder, s, step):
    clear_to(ladder, s, step)


@njit
def middle(ladder):
    return mid(ladder, 0, 0.5) if has_mid(ladder, 0) else np.nan


@dataclass
class Plain:
    """One book in dictionaries, in the words of the specification."""

    levels: tuple[dict, dict] = field(default_factory=lambda: ({}, {}))
    best: list = field(default_factory=lambda: [NOTHING, NOTHING])
    mark: list = field(default_factory=lambda: [-NOTHING, -NOTHING])
    middle: float = np.nan

    def seen(self):
        if NOTHING not in self.best:
            self.middle = (self.best[0] * 0.5 + -self.best[1] * 0.5) / 2

    def fallen(self, s, step):
        return max((u for u in self.levels[s] if self.mark[s] <= u < step), default=NOTHING)

    def exhausted(self, s, step):
        self.best[s] = self.fallen(s, step)
        if self.best[s] == NOTHING:
            self.mark[s] = -NOTHING

    def show(self, s, step, lots):
        before = self.levels[s].pop(step, 0)
        if lots:
            self.levels[s][step] = lots
            if step > self.best[s]:
                self.best[s] = step
                if step + self.best[1 - s] >= 0:
                    self.best[1 - s] = self.fallen(1 - s, -step)
            self.mark[s] = min(self.mark[s], step)
        elif step == self.best[s]:
            self.exhausted(s, step)
        return before

    def clear(self, s):
        self.levels[s].clear()
        self.best[s], self.mark[s] = NOTHING, -NOTHING

    def cut(self, s, step):
        for u in [u for u in self.levels[s] if u >= step]:
            del self.levels[s][u]
        if self.best[s] >= step:
            self.exhausted(s, step)


NEAR = st.integers(-30, 30)
FAR = st.integers(-(2**30), 2**30)
PLACE = st.one_of(NEAR, NEAR, NEAR, FAR)
SIDE = st.integers(0, 1)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("show"), SIDE, PLACE, st.integers(0, 3)),
        st.tuples(st.just("show"), SIDE, NEAR, st.integers(0, 3)),
        st.tuples(st.just("show"), SIDE, st.integers(-30, -1), st.integers(0, 3)),
        st.tuples(st.just("clear"), SIDE),
        st.tuples(st.just("cut"), SIDE, PLACE),
    ),
    max_size=120,
)


@settings(max_examples=300, deadline=None)
@given(events=EVENTS, ring=st.sampled_from([4, 8, 32, 128]), probes=st.lists(PLACE, max_size=5))
def test_the_ladder_shows_what_dictionaries_hold(events, ring, probes):
    ladder, plain = empty_ladder(1, ring=ring, far=4), Plain()
    for what, *given_ in events:
        if what == "show":
            before = show(ladder, *given_)
            while before < 0:
                ladder = ladder._replace(far=roomier(ladder.far))
                before = show(ladder, *given_)
            assert before == plain.show(*given_)
        else:
            (clear if what == "clear" else cut)(ladder, *given_)
            getattr(plain, what)(*given_)
        plain.seen()
        assert ladder.sides["best"].tolist() == plain.best
        assert ladder.sides["mark"].tolist() == plain.mark
        assert middle(ladder) == plain.middle or np.isnan(plain.middle)
    for s in (0, 1):
        for step in [*plain.levels[s], *probes]:
            here = plain.levels[s].get(step, 0)
            assert displayed(ladder, s, step) == (here if step <= plain.best[s] else 0)
            assert below(ladder, s, step) == max((u for u in plain.levels[s] if u < step), default=NOTHING)


def test_a_price_that_runs_through_many_rings_keeps_every_level():
    ladder, steps = empty_ladder(1, ring=64, far=1024), range(600)
    for step in steps:
        assert show(ladder, 0, step, step + 1) == 0
    for step in reversed(steps):
        assert ladder.sides["best"][0] == step
        assert show(ladder, 0, step, 0) == step + 1
    assert ladder.sides["best"][0] == NOTHING
    assert ladder.far[0, -1]["value"] == 0


def test_what_finds_no_room_changes_nothing():
    ladder = empty_ladder(1, ring=8, far=4)
    for step in (0, -100, -200, -300):
        assert show(ladder, 0, step, 1) == 0
    arrays = tuple(ladder)
    before = [array.copy() for array in arrays]
    assert show(ladder, 0, -400, 1) == -1
    assert show(ladder, 0, 1000, 1) == -1
    assert all(np.array_equal(one, other) for one, other in zip(arrays, before, strict=True))


def test_deleting_a_level_that_was_never_shown_does_not_take_the_ring_there():
    ladder = empty_ladder(1, ring=8, far=4)
    show(ladder, 0, 0, 1)
    assert show(ladder, 0, 10**6, 0) == 0
    assert ladder.sides["base"][0] <= 0 < ladder.sides["base"][0] + 8


def test_the_newer_side_of_a_crossed_book_wins_and_the_older_is_hidden_not_lost():
    ladder = empty_ladder(1)
    show(ladder, 0, 100, 5)
    show(ladder, 0, 99, 4)
    show(ladder, 1, -99, 3)
    assert ladder.sides["best"].tolist() == [NOTHING, -99]
    assert [displayed(ladder, 0, 100), displayed(ladder, 0, 99)] == [0, 0]
    show(ladder, 0, 101, 1)
    show(ladder, 0, 101, 0)
    assert ladder.sides["best"].tolist() == [100, NOTHING]
