"""A network that was shown the future is refused, however well it does; networks run where nothing that trains is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import wfbt
from tests.models import artefact
from tests.runs import write_study
from wfbt.errors import LeakError

ORACLE = """
import pandas as pd

def oracle(bars):
    return pd.DataFrame({"ahead": bars["open"].shift(-2) / bars["open"].shift(-1) - 1.0}, index=bars.index)
"""


@pytest.mark.slow
@pytest.mark.parametrize("seen", [[], ["position"]])
def test_an_agent_that_was_trained_on_the_next_bar_is_refused(tmp_path, seen):
    pytest.importorskip("stable_baselines3", reason="the extra [rl] is not installed")
    (tmp_path / "oracle.py").write_text(ORACLE)
    plan = {
        "features": [{"oracle.py:oracle": {"columns": ["ahead"]}}], "account": seen,
        "action": {"discrete": ["flat", "buy", "sell"]}, "hidden": [16], "steps": 30_000, "seeds": 1, "lanes": 64,
        "batch": 512, "ppo": {"rollout": 4096, "entropy": 0.001}, "learning_rate": 0.003, "gamma": 0.9,
        "episodes": {"by": "random", "length": 128}, "reward": {"name": "log_return"}, "validation": None,
    }  # fmt: skip
    free = {"maker_bps": 0, "taker_bps": 0, "half_spread_bps": 0, "impact": None, "participation": None}
    path = write_study(
        tmp_path, policy={"rule": None, "search": {}, "train": plan}, costs=free, latency="none", exits=None,
        folds={"count": 1, "train": "60d"},
    )  # fmt: skip
    with pytest.raises(LeakError) as refused:
        wfbt.run(path, out=tmp_path / "reports", models=tmp_path / "models", jobs=1)
    assert refused.value.exit_code == 3
    assert "target of AAA" in str(refused.value)
    assert not list((tmp_path / "reports").glob("small-*/result.json"))


def test_a_model_whose_features_look_ahead_is_refused(tmp_path):
    (tmp_path / "own.py").write_text(
        "import pandas as pd\n\n"
        "def tomorrow(bars):\n    return pd.DataFrame({'return_1': bars['close'].pct_change().shift(-1)})\n"
    )
    from wfbt.policy.artifact.manifest import Provenance

    artefact(tmp_path / "model", {"policy": {"features": ("return_1",)}}, provenance=Provenance.CLAIMED)
    policy = {
        "rule": None,
        "search": {},
        "model": "model",
        "features": [{"own.py:tomorrow": {"columns": ["return_1"]}}],
    }
    path = write_study(tmp_path, policy=policy)
    with pytest.raises(LeakError, match="model"):
        wfbt.run(path, out=tmp_path / "reports", jobs=1)


def test_networks_are_replayed_and_validated_where_nothing_that_trains_is_installed(tmp_path):
    artefact(tmp_path / "model", {"policy": {"account": ("position", "drawdown")}}, seeds=(0, 1))
    path = write_study(tmp_path, policy={"rule": None, "search": {}, "model": "model"})
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "gymnasium", "stable_baselines3", "onnx", "onnxruntime", "optuna"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import wfbt
run = wfbt.run({str(path)!r}, out={str(tmp_path / "reports")!r}, jobs=1)
assert run.to_dict()["models"]["policy"]["parity"] is not None
print(len(run.ledger.fills))
"""
    root = str(Path(wfbt.__file__).parents[1])
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": root}, timeout=600
    )
    assert told.returncode == 0, told.stderr[-2000:]
    assert int(told.stdout.split()[-1]) > 10
