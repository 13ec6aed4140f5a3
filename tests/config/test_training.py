"""What a strategy file may say of a policy that is trained."""

import pytest

from tests.learn.lessons import QUICK, write_lesson
from wfbt.config.load import dump_yaml, load_strategy, resolved
from wfbt.errors import ConfigError


def load(folder, plan):
    return load_strategy(write_lesson(folder, plan))


def test_the_defaults_are_the_usual_ones_of_ppo(tmp_path):
    path = write_lesson(tmp_path, policy={"train": {}})
    given = load_strategy(path).policy.train
    assert (given.algorithm, given.hidden, given.activation, given.seeds) == (
        "ppo",
        (128, 64, 32),
        "tanh",
        tuple(range(5)),
    )
    assert (given.learning_rate, given.gamma, given.batch) == (3e-4, 0.99, 64)
    ppo = given.ppo
    assert (ppo.gae, ppo.clip, ppo.value, ppo.entropy, ppo.epochs, ppo.rollout) == (0.95, 0.2, 0.5, 0.01, 10, 2048)
    assert given.action.discrete == (None, 1.0, -1.0)
    assert given.dqn is None


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"action": {"discrete": ["hold", "buy", "flat", 0.5, -0.25]}},
        {"action": {"continuous": {"sized": False}}, "validation": None},
        {"algorithm": "dqn", "ppo": None, "dqn": {"buffer": 5000}},
        {"episodes": {"by": "session", "begin": 13.5, "end": 20}, "hierarchical": {"every": 4}},
        {"features": [{"macd": {"fast": 5, "slow": 10, "signal": 3}}, "rsi_14"], "seeds": [4, 9]},
    ],
)
def test_what_is_written_back_is_read_as_the_same(plan, tmp_path):
    config = load(tmp_path, plan)
    path = tmp_path / "again.yaml"
    path.write_text(dump_yaml(resolved(config)))
    assert load_strategy(path).policy == config.policy


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"hiden": [8]}, "did you mean hidden"),
        ({"action": {"discrete": ["hold", "by"]}}, "must be one of hold, buy, sell, flat"),
        ({"action": {"discrete": ["buy"]}}, "2 to 1000"),
        ({"action": {}}, "needs discrete"),
        ({"algorithm": "dqn", "ppo": None, "action": {"continuous": {}}}, "use ppo"),
        ({"dqn": {}}, "keep the section of the algorithm"),
        ({"lanes": 5}, "multiple of lanes"),
        ({"batch": 48}, "multiple of batch"),
        ({"seeds": 0}, "1 to 100"),
        ({"seeds": [1, 1]}, "different seeds"),
        ({"account": ["position", "position"]}, "twice"),
        ({"account": ["positon"]}, "position"),
        ({"episodes": {"by": "day", "length": 5}}, "has no length"),
        ({"episodes": {"by": "session"}}, "needs begin"),
        ({"validation": {"share": 1.0}}, "must be < 1"),
        ({"hierarchical": {"every": 1}}, "must be >= 2"),
        ({"reward": {"name": "profit"}}, "six"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(plan, words, tmp_path):
    with pytest.raises(ConfigError, match="train") as refused:
        load(tmp_path, plan)
    assert words in str(refused.value)


def test_a_network_to_be_trained_stands_alone(tmp_path):
    both = {"train": QUICK, "rule": "momentum"}
    with pytest.raises(ConfigError, match="rule and train: keep one"):
        load_strategy(write_lesson(tmp_path, policy=both))
    with pytest.raises(ConfigError, match="no params"):
        load_strategy(write_lesson(tmp_path, policy={"train": QUICK, "params": {"n": 2}}))
