from pathlib import Path

import numpy as np
import pytest

from wfbt.config.load import load_strategy
from wfbt.policies import candidates_of, policy_of
from wfbt.policy.base import evaluate, load_rule
from wfbt.policy.rules import BUILT_IN

EXAMPLES = Path(__file__).parents[2] / "examples"
# Of a network that every fold trains there is nothing to ask before it has been trained.
STRATEGIES = [
    path
    for path in sorted(EXAMPLES.glob("*.yaml"))
    if not any(line.strip() == "train:" for line in path.read_text().splitlines())
]


def searched(path):
    """Symbols, policy and candidates of each policy in a strategy file: one, or one a sleeve."""
    strategy = load_strategy(path)
    every = tuple(strategy.data.symbols)
    named = [(every, strategy.policy)]
    if strategy.sleeves is not None:
        named = [(one.symbols or every, one.policy) for one in strategy.sleeves.members.values()]
    for symbols, given in named:
        policy = policy_of(given, path.parent)
        yield symbols, policy, candidates_of(given, policy)


def test_every_built_in_rule_has_an_example():
    policies = [policy for path in STRATEGIES for _, policy, _ in searched(path)]
    named = {part.name for policy in policies for part in getattr(policy, "parts", {"": policy}).values()}
    assert {name for name in named if ":" not in name} == set(BUILT_IN)


@pytest.mark.parametrize("path", STRATEGIES, ids=lambda path: path.stem)
def test_every_candidate_of_an_example_speaks(path, newsy):
    for symbols, policy, found in searched(path):
        regime = np.arange(900) // 100 % 3.0
        frames = {symbol: newsy(900, seed=number).assign(regime=regime) for number, symbol in enumerate(symbols)}
        targets = [
            columns.target
            for params in found.params[:: max(1, len(found.params) // 4)]
            for columns in evaluate(policy, frames, params).values()
        ]
        assert all(len(target) == 900 and np.isfinite(target).any() for target in targets)
        assert max(np.nanmax(np.abs(target)) for target in targets) > 0


def test_the_ensemble_has_five_weights_that_add_up_to_one():
    ((_, policy, found),) = searched(EXAMPLES / "ensemble.yaml")
    assert policy.weights == (0.3, 0.25, 0.2, 0.15, 0.1)
    fixed = {"2.entry": 168, "2.exit": 48, "4.n": 48, "4.z": 2.0}
    assert found.params[0] == fixed | {"1.fast": 12, "1.slow": 96, "3.n": 72}


def test_the_flagship_tries_96_candidates():
    ((_, _, found),) = searched(EXAMPLES / "ema_rsi_adx.yaml")
    assert (len(found.params), found.dropped) == (96, 0)


def test_the_rule_in_the_examples_is_causal(walk):
    rule = load_rule("my_rule.py:buy_the_dip", EXAMPLES)
    frame = walk(700, seed=5)
    params = {"trend": 50, "n": 3, "low": 30, "high": 60}
    whole = evaluate(rule, {"BTC": frame}, params)["BTC"]
    assert {0.0, 1.0} <= set(whole.target)
    for cut in np.random.default_rng(0).integers(60, 700, 20):
        part = evaluate(rule, {"BTC": frame.iloc[:cut]}, params)["BTC"]
        np.testing.assert_array_equal(part.target, whole.target[:cut])
        np.testing.assert_array_equal(part.stop, whole.stop[:cut])
