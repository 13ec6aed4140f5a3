"""N accounts that play episodes side by side: one call steps them all.

Lanes are cut into as many contiguous parts as there are threads.  No lane knows of another, so how they are cut changes
no number.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wfbt.engine.accounts import Accounts
from wfbt.errors import ConfigError
from wfbt.kernels.reward import BOOK, MEMORY, appraise
from wfbt.learn.episodes import Draws, Episodes
from wfbt.learn.stage import Stage, codes

F4 = npt.NDArray[np.float32]
F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
B1 = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Lanes `own`, the accounts that they are, and their share of what all lanes write to.

    Attributes
    ----------
    before, after : tuple of arrays
        Arguments of `appraise` on either side of the observation, from `live` and from `rewards` on.
    view : (n, V) float64
    buffers : two (n, X + V) float32
        One of them is the observation.
    """

    own: slice
    accounts: Accounts
    view: F8
    before: tuple[npt.NDArray[Any], ...]
    after: tuple[npt.NDArray[Any], ...]
    buffers: tuple[F4, ...]


class Lanes:
    """N lanes, each in an episode of its own.

    `seen` is one of two arrays in turn: what a step shows stays as it is until the step after the next.

    Attributes
    ----------
    rewards : (N,) float64; terminated, truncated : (N,) bool
        Of the last step.
    bar, end : (N,) int64
        Decision bar at whose close each lane stands, and the one that cuts its episode off.
    over : (N,) bool
        Whether its episode is over, and another has not begun.
    books : (N, 6) float64
        Equity, and what has been paid since the episode began, in quote: `wfbt.kernels.reward.BOOK`.
    positions : (N, A) float64
        Units.
    """

    def __init__(self, stage: Stage, episodes: Episodes, count: int, *, seed: int = 0, jobs: int = 1) -> None:
        if count < 1 or jobs < 1:
            raise ConfigError(f"lanes and jobs must be >= 1, were {count} and {jobs}")
        if (episodes.last > len(stage.deck.decisions) - 1).any():
            raise ConfigError(
                f"episodes must end by decision bar {len(stage.deck.decisions) - 1}: an account that waits at a close "
                "needs one more bar in the market"
            )
        self.stage, self.episodes = stage, episodes
        self.draws = Draws(episodes, seed, count)
        jobs = min(jobs, count)
        self._pool = ThreadPoolExecutor(jobs - 1, "lanes") if jobs > 1 else None
        assets = stage.assets
        self._rule, self._codes, self._lost = stage.reward.pack(), codes(stage.seen), stage.lost()
        self._buffers = [np.zeros((count, stage.width), np.float32) for _ in range(2)]
        self._turned = 0
        self.rewards = np.zeros(count)
        self.terminated, self.truncated, self.over = (np.zeros(count, bool) for _ in range(3))
        self.over[:] = True
        self.bar, self.end, self.began = (np.zeros(count, np.int64) for _ in range(3))
        self.books, self.positions = np.zeros((count, len(BOOK))), np.zeros((count, assets))
        self.memory = np.zeros(count, MEMORY)
        self._live, self._blind = np.zeros(count, bool), np.zeros((count, assets), bool)
        self._any_blind = False
        self._chosen: B1 | None = None
        self._known = stage.known[:0] if stage.known.all() else stage.known
        self._view = np.zeros((count, len(self._lost)))
        self._ring = np.zeros((count, stage.reward.window))
        borders = [count * k // jobs for k in range(jobs + 1)]
        self._parts = [self._part(slice(a, b)) for a, b in itertools.pairwise(borders)]

    def _part(self, own: slice) -> Part:
        stage = self.stage
        before = (self._live, self.bar, self.end, self.memory, self._ring)
        after = (self.rewards, self.terminated, self.truncated, self.books, self.positions, self._blind)
        return Part(
            own=own,
            accounts=Accounts(stage.deck, stage.rules, stage.sheet, stage.slices, own.stop - own.start),
            view=self._view[own],
            before=tuple(array[own] for array in before),
            after=tuple(array[own] for array in after),
            buffers=tuple(buffer[own] for buffer in self._buffers),
        )

    @property
    def seen(self) -> F4:
        """(N, X + V) float32: observation of each lane."""
        return self._buffers[self._turned]

    def __len__(self) -> int:
        return len(self.over)

    def begin(self, chosen: I8, numbers: I8 | None = None) -> None:
        """Begin the next episode, or that of `numbers`, in the `chosen` lanes, and show its first row."""
        numbers = self.draws.next(chosen) if numbers is None else numbers
        first, last = self.episodes.first[numbers], self.episodes.last[numbers]
        for part in self._parts:
            mine = (chosen >= part.own.start) & (chosen < part.own.stop)
            if mine.any():
                # One bar more than is played: the account still waits at the close that ends the episode.
                part.accounts.begin(chosen[mine] - part.own.start, first[mine], last[mine] + 1)
        wide = self.stage.features.shape[1]
        self.seen[chosen, :wide] = self.stage.features[first]
        self.seen[chosen, wide:] = 0.0  # a new account holds nothing and has neither gained nor lost
        self.bar[chosen] = self.began[chosen] = first
        self.end[chosen] = last - 1
        self.over[chosen] = False
        self.memory[chosen] = np.zeros(1, MEMORY)
        self.memory["worth"][chosen] = self.stage.rules.cash
        self.books[chosen] = 0.0
        self.books[chosen, 0] = self.stage.rules.cash
        self.positions[chosen] = 0.0
        self._blind[chosen] = ~self.stage.known[first]
        self._any_blind = bool(self._blind.any())

    def step(self, targets: F8, chosen: B1 | None = None, *, known: bool = False) -> int:
        """Tell every lane that is not over its (N, A) `targets`; how many episodes this ends.

        With `chosen` (N,) only those; the others stay at their decision, and get a reward of 0.  Targets of assets
        whose features are not known are ignored, unless they are `known` to be meant: a rule may have named them.
        """
        if self._any_blind and not known:
            targets = np.where(self._blind, np.nan, targets)
        np.logical_not(self.over, out=self._live)
        shown = self.seen
        self._turned = 1 - self._turned
        self._chosen = chosen
        if chosen is not None:
            self._live &= chosen
            self.seen[~self._live] = shown[~self._live]
        counts = self._everywhere(targets)
        self._any_blind = any(unknown for _, unknown in counts) or (chosen is not None and bool(self._blind.any()))
        ended = sum(over for over, _ in counts)
        if ended:
            self.over |= self.terminated | self.truncated
        return ended

    def _everywhere(self, targets: F8) -> list[tuple[int, int]]:
        """`_turn` of every part, on a thread each."""
        if self._pool is None:
            return [self._turn(self._parts[0], targets)]
        rest = [self._pool.submit(self._turn, part, targets) for part in self._parts[1:]]
        return [self._turn(self._parts[0], targets), *(one.result() for one in rest)]

    def _turn(self, part: Part, targets: F8) -> tuple[int, int]:
        """Take the lanes of one part to their next decision; how many are over, and how many assets are blind."""
        accounts, stage = part.accounts, self.stage
        chosen = None if self._chosen is None else self._chosen[part.own]
        accounts.step(targets[part.own], chosen)
        accounts.observe(self._codes, part.view, chosen=chosen)
        over, blind = appraise(
            accounts.desk, accounts.watch, accounts.tallies, stage.deck.contracts, stage.deck.tape.mark_close,
            stage.features, self._known, part.view, self._lost, self._rule, stage.terminal == "liquidation",
            *part.before, part.buffers[self._turned], *part.after,
        )  # fmt: skip
        return over, blind

    @property
    def blind(self) -> B1:
        """(N, A) assets whose features are not known at the close where each lane stands."""
        return self._blind

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
