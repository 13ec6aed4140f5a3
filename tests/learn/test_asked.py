"""What is trained is what is replayed: lanes that networks step are the accounts of their replay."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="the extra [rl] is not installed")

from tests.learn.lessons import QUICK, add_symbol, open_school, random_network, write_lesson
from tests.runs import hours
from wfbt.engine.backtest import replay_ledger, span
from wfbt.learn import train as training
from wfbt.learn.asked import Confirming, confirmed, with_proposals
from wfbt.learn.episodes import Episodes
from wfbt.learn.hierarchy import Goals
from wfbt.learn.lesson import normalised

ONE = {"lanes": 1, "ppo": {"rollout": 64}, "batch": 64, "episodes": {"by": "length", "length": 3000}}
RULE = {"rule": "sma_cross", "params": {"fast": 4, "slow": 24}}


BOTH = {"action": {"continuous": {"sized": True}}, "account": ["drawdown", "position", "unrealised", "holding"]}


def hybrid(side, mode, passes=None, plan=None):
    taught = {"train": QUICK | ONE | (plan or {})}
    sides = {"propose": RULE, "confirm": RULE} | {side: taught}
    return {"hybrid": {**sides, "mode": mode, "passes": passes}}


POLICIES = {
    "alone": {"train": QUICK | ONE},
    "nothing seen": {"train": QUICK | ONE | {"account": []}},
    "box": {"train": QUICK | ONE | {"action": {"continuous": {"sized": True, "dead_zone": 0.1}}}},
    "goals": {"train": QUICK | ONE | {"hierarchical": {"every": 7, "goals": 3}}},
    **{f"confirm {mode}": hybrid("confirm", mode) for mode in ("veto", "agree", "scale")},
    "confirm passes": hybrid("confirm", "agree", passes=True),
    **{f"propose {mode}": hybrid("propose", mode) for mode in ("veto", "agree", "scale")},
    "two symbols": {"train": QUICK | ONE | BOTH},
    "two symbols, confirm": hybrid("confirm", "scale", plan=BOTH),
    "two symbols, propose": hybrid("propose", "veto", plan=BOTH),
}


class Decided:
    """A manager that does what its network finds best."""

    def __init__(self, network):
        self.network = network

    def choose(self, lanes, seen):
        return self.network.actions(seen)

    def forget(self):
        pass

    earn = end = lambda self, *_: None


def stepped(lesson, networks):
    """Bars and equity of one lane that is stepped by networks, at each of its decisions, and at its end."""
    lanes = (
        training._lanes(lesson, 0)
        if lesson.plan.hierarchical is None
        else Goals(lesson.stage, lesson.episodes, 1, 7, 3, seed=0)
    )
    bare = {name: replace(one, normaliser=None) for name, one in networks.items()}
    lanes.manager = Decided(bare["manager"]) if "manager" in bare else None
    seen, over, told = lanes.reset(), False, []
    first, last = lesson.episodes.first[0], lesson.episodes.last[0]
    while not over:
        told.append((int(lanes.lanes.bar[0]), float(lanes.lanes.books[0, 0])))
        seen, _, dones, infos = lanes.step(bare[lesson.deciding].actions(seen))
        over = bool(dones[0])
    told.append((int(last) - 1, infos[0]["equity"]))
    lanes.close()
    return first, last, told


@pytest.mark.parametrize("name", POLICIES)
def test_a_lane_that_a_network_steps_is_the_account_of_its_replay(name, tmp_path):
    path = write_lesson(tmp_path, policy=POLICIES[name], bars=hours(seed=11))
    if name.startswith("two"):
        add_symbol(path, hours(seed=12))
    school, windows = open_school(path, tmp_path / "models")
    lesson = school.lesson(windows["1"])
    networks = {level: random_network(told, 5) for level, told in lesson.levels.items()}
    first, last, told = stepped(lesson, networks)
    deck = lesson.lowering.deck
    intents = lesson.says(networks).between(*span(deck, first, last + 1))
    ledger = replay_ledger(deck, intents, lesson.rules, first, last + 1)
    assert len(ledger.fills) > 10
    assert len(told) > 10
    assert [equity for _, equity in told] == [ledger.equity[bar - first] for bar, _ in told]


def test_one_who_confirms_is_asked_at_new_proposals_alone(tmp_path):
    school, windows = open_school(write_lesson(tmp_path, policy=hybrid("confirm", "veto")), tmp_path / "models")
    lesson = school.lesson(windows["1"])
    lanes = training._lanes(lesson, 0)
    assert isinstance(lanes, Confirming)
    lanes.reset()
    asked = []
    for _ in range(20):
        asked.append(int(lanes.lanes.bar[0]))
        _, _, dones, _ = lanes.step(np.zeros(1, np.int64))
        if dones[0]:
            break
    standing, new = np.nan, []
    for bar in range(int(lesson.episodes.first[0]), asked[-1] + 1):
        proposal = lesson.agent.other[bar, 0]
        if not np.isnan(proposal) and proposal != standing:
            standing = proposal
            new.append(bar)
    assert asked == new
    assert np.diff(asked).max() > 1


def test_what_is_left_of_a_proposal_follows_the_mode():
    wanted, opinion = np.array([[1.0, 1.0, 1.0, -0.5]]), np.array([[0.3, -0.3, np.nan, -2.0]])
    assert confirmed(wanted, opinion, "veto", False).tolist() == [[1.0, 0.0, 0.0, -0.5]]
    assert confirmed(wanted, opinion, "agree", True).tolist() == [[1.0, 0.0, 1.0, -0.5]]
    assert confirmed(wanted, opinion, "scale", False).tolist() == [[0.3, 0.3, 0.0, -0.5]]


def test_episodes_without_a_proposal_are_not_played():
    other = np.full((40, 1), np.nan)
    other[25] = 1.0
    given = Episodes(first=np.array([0, 10, 20, 24, 26]), last=np.array([10, 20, 30, 26, 40]))
    kept = with_proposals(given, other)
    # The close of row 25 ends the fourth, which decides at row 24 alone.
    assert kept.first.tolist() == [20]


def test_features_in_lanes_are_those_that_the_network_makes_of_raw_ones(tmp_path):
    school, windows = open_school(write_lesson(tmp_path), tmp_path / "models")
    lesson = school.lesson(windows["1"])
    level = lesson.levels["policy"]
    network = random_network(level, 1)
    wide = lesson.raw.shape[1]
    rows = np.flatnonzero(lesson.stage.known.all(axis=1))[:200]
    account = np.random.default_rng(0).normal(size=(200, len(level.account)))
    raw = np.concatenate([lesson.raw[rows], account], axis=1)
    ready = normalised(raw, level.normaliser, slice(0, raw.shape[1]))
    assert ready[:, :wide].tobytes() == lesson.stage.features[rows].tobytes()
    assert network.values(raw).tobytes() == replace(network, normaliser=None).values(ready).tobytes()
