"""Training learns what there is to learn, and finds nothing where there is nothing."""

import numpy as np
import pytest

pytest.importorskip("stable_baselines3", reason="the extra [rl] is not installed")

from tests.learn.lessons import open_school, write_lesson
from tests.runs import hours
from wfbt.engine.backtest import replay_ledger, span
from wfbt.learn import train as training
from wfbt.learn.lesson import blank
from wfbt.learn.networks import network_of

pytestmark = pytest.mark.slow

ORACLE = """
import pandas as pd

def oracle(bars):
    # What nobody knows: the return of the bar after this one.
    return pd.DataFrame({"ahead": bars["open"].shift(-2) / bars["open"].shift(-1) - 1.0}, index=bars.index)
"""

STEADY = {
    "hidden": [32, 16],
    "lanes": 64,
    "batch": 512,
    "ppo": {"rollout": 4096, "epochs": 10, "entropy": 0.001},
    "learning_rate": 0.001,
    "episodes": {"by": "random", "length": 128},
    "reward": {"name": "log_return"},
    "validation": None,
    "gamma": 0.9,
}
OPEN = {
    "account": {"cash": 10000, "leverage": 1},
    "costs": {"maker_bps": 0, "taker_bps": 0, "half_spread_bps": 0, "impact": None, "participation": None},
    "latency": "none",
}


def equity_of(lesson, networks, rows):
    """What an account has made of its cash over a block of rows."""
    deck = lesson.lowering.deck
    intents = lesson.says(networks).between(*span(deck, rows.start, rows.stop))
    ledger = replay_ledger(deck, intents, lesson.rules, rows.start, rows.stop)
    return float(ledger.equity[-1] / lesson.rules.cash)


@pytest.mark.parametrize("algorithm", ["ppo", "dqn"])
def test_who_knows_the_next_bar_beats_holding_by_far(algorithm, tmp_path):
    (tmp_path / "oracle.py").write_text(ORACLE)
    plan = STEADY | {
        "features": [{"oracle.py:oracle": {"columns": ["ahead"]}}],
        "account": ["position"],
        "action": {"discrete": ["flat", "buy", "sell"]},
        "steps": 80_000,
        "seeds": 1,
        "reward": {"name": "six", "weights": {"trades": 0, "holding": 0, "spread": 0, "drawdown": 0, "ratio": 0}},
    }
    if algorithm == "dqn":
        plan |= {"algorithm": "dqn", "ppo": None, "dqn": {"target_every": 500, "explore": 0.5}, "batch": 128}
    school, windows = open_school(write_lesson(tmp_path, policy={"train": plan}, **OPEN), tmp_path / "models")
    lesson = school.lesson(windows["1"])
    (member,) = school.artifact(windows["1"]).members
    (rows,) = lesson.kept
    close = lesson.lowering.deck.carried()[rows, 0]
    best = np.prod(1.0 + np.abs(close[1:] / close[:-1] - 1.0))
    made = equity_of(lesson, member.levels, rows)
    assert made > 20.0 * max(1.0, close[-1] / close[0])
    assert np.log(made) > 0.7 * np.log(best)


def test_what_is_learnt_of_noise_is_worth_nothing_out_of_sample(tmp_path):
    bars = hours(days=420, seed=21)
    plan = STEADY | {"features": ["rsi_14", "return_4", "volume_z"], "steps": 40_960, "seeds": 6}
    folds = {"count": 1, "train": "120d", "embargo": "24h"}
    data = {"end": "2025-02-20"}
    path = write_lesson(tmp_path, policy={"train": plan}, bars=bars, folds=folds, data=data, **OPEN)
    school, windows = open_school(path, tmp_path / "models")
    lesson = school.lesson(windows["1"])
    deck = lesson.lowering.deck
    test = slice(lesson.kept[-1].stop + 24, len(deck.decisions))
    sharpes = [lesson.score(member.levels, (test,)) for member in school.artifact(windows["1"]).members]
    years = (test.stop - test.start) / (24 * 365)
    # A year's Sharpe ratio of nothing has a deviation of about 1; networks of one market are not independent.
    assert abs(np.mean(sharpes)) < 2.0 / np.sqrt(years)
    assert max(np.abs(sharpes)) < 4.0 / np.sqrt(years)


def test_training_gets_better_than_its_start_on_training_rows_with_every_seed(tmp_path):
    bars = hours(days=120, seed=4)
    # A market that turns back: what rose falls.
    moves = np.diff(np.log(bars["close"]), prepend=np.log(100.0))
    turned = np.zeros(len(moves))
    for t in range(1, len(moves)):
        turned[t] = -0.5 * turned[t - 1] + moves[t]
    close = 100.0 * np.exp(np.cumsum(turned))
    opened = np.r_[100.0, close[:-1]]
    bars |= {
        "open": opened,
        "close": close,
        "high": np.maximum(opened, close) * 1.001,
        "low": np.minimum(opened, close) * 0.999,
    }
    plan = STEADY | {"features": ["return_1", "return_4"], "account": ["position"], "steps": 61_440, "seeds": 5}
    school, windows = open_school(write_lesson(tmp_path, policy={"train": plan}, bars=bars, **OPEN), tmp_path / "m")
    lesson = school.lesson(windows["1"])
    for seed, member in zip((0, 1, 2, 3, 4), school.artifact(windows["1"]).members, strict=True):
        drawn = int(np.random.SeedSequence([school.seed, seed]).generate_state(1)[0])
        start = network_of(training._models(lesson, drawn, None)["policy"], lesson.levels["policy"])
        before, after = (lesson.score(one, lesson.kept) for one in ({"policy": start}, member.levels))
        assert after > before + 1.0
        assert after > lesson.score({"policy": blank(lesson.levels["policy"])}, lesson.kept)
