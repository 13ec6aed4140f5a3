from pathlib import Path

import numpy as np
import pytest

from wfbt.config.load import load_strategy, resolved
from wfbt.policy.base import evaluate, load_rule
from wfbt.policy.rules import BUILT_IN
from wfbt.policy.search import candidates

EXAMPLES = Path(__file__).parents[2] / "examples"
STRATEGIES = sorted(EXAMPLES.glob("*.yaml"))


def searched(path):
    strategy = load_strategy(path)
    rule = load_rule(strategy.policy.rule, path.parent)
    policy = resolved(strategy)["policy"]
    return strategy, rule, candidates(policy["params"], policy["search"], valid=rule.is_valid)


def test_every_built_in_rule_has_an_example():
    assert {load_strategy(path).policy.rule for path in STRATEGIES} == {*BUILT_IN, "my_rule.py:buy_the_dip"}


@pytest.mark.parametrize("path", STRATEGIES, ids=lambda path: path.stem)
def test_every_candidate_of_an_example_speaks(path, walk):
    strategy, rule, found = searched(path)
    frames = {symbol: walk(900, seed=number) for number, symbol in enumerate(strategy.data.symbols)}
    targets = [
        columns.target
        for params in found.params[:: max(1, len(found.params) // 4)]
        for columns in evaluate(rule, frames, params).values()
    ]
    assert all(len(target) == 900 and np.isfinite(target).any() for target in targets)
    assert max(np.nanmax(np.abs(target)) for target in targets) > 0


def test_the_flagship_tries_96_candidates():
    _, _, found = searched(EXAMPLES / "ema_rsi_adx.yaml")
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
