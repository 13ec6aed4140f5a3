"""Hybrids and ensembles from the strategy file to the run folder."""

import json

import pytest

import wfbt
from tests.runs import write_study
from wfbt.errors import ConfigError, PolicyError

OWN = '''
import numpy as np


def calm(bars, n=12):
    """Sizes between nothing and one: small after large moves."""
    return (1 - 20 * bars["close"].pct_change().abs().rolling(n).mean()).clip(0, 1).round(1)


class Level:
    def fit(self, bars, quantile=0.5):
        self.level = bars["close"].quantile(quantile)

    def targets(self, bars):
        return np.where(bars["close"] < self.level, 1.0, -1.0)
'''
HYBRID = {
    "hybrid": {
        "mode": "scale",
        "propose": {"rule": "sma_cross", "params": {"slow": 24}, "search": {"fast": [4, 8, 30]}},
        "confirm": {"rule": "own.py:calm", "search": {"n": [6, 12]}},
    }
}
ENSEMBLE = {
    "ensemble": [
        {"rule": "own.py:Level", "weight": 0.5, "search": {"quantile": [0.3, 0.6]}},
        {"rule": "momentum", "weight": 0.3, "params": {"n": 12}},
    ]
}


@pytest.fixture
def study(tmp_path):
    """A strategy file with this policy, and the file of its own rules beside it."""

    def write(policy):
        (tmp_path / "own.py").write_text(OWN)
        path = write_study(tmp_path, policy=None)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"policy": policy}))
        return path

    return write


def test_a_run_of_a_hybrid_searches_both_sides_and_says_which_parameter_is_whose(study, tmp_path):
    result = wfbt.run(study(HYBRID), out=tmp_path / "out", report=False)
    result.ledger.reconcile()
    told = result.to_dict()
    assert [fold["candidates"] for fold in told["folds"]] == [4, 4, 4]
    assert all(fold["params"].keys() == {"propose.fast", "propose.slow", "confirm.n"} for fold in told["folds"])
    assert "2 candidates of the search were dropped: the rule calls such values invalid" in told["notes"]
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["rule"]["name"] == "hybrid of sma_cross and own.py:calm"


def test_a_fitted_member_of_an_ensemble_is_fitted_in_every_fold(study, tmp_path):
    result = wfbt.run(study(ENSEMBLE), out=tmp_path / "out", report=False)
    result.ledger.reconcile()
    assert all(fold["params"].keys() == {"1.quantile", "2.n"} for fold in result.to_dict()["folds"])
    assert len(result.ledger.fills) > 10


@pytest.mark.parametrize("policy", [HYBRID, ENSEMBLE], ids=["hybrid", "ensemble"])
def test_the_run_id_is_that_of_all_parts_and_survives_the_run_folder(study, tmp_path, policy):
    path = study(policy)
    first = wfbt.run(path, out=tmp_path / "out", report=False)
    again = wfbt.run(first.folder / "config.resolved.yaml", out=tmp_path / "elsewhere", report=False)
    assert again.run_id == first.run_id
    (tmp_path / "own.py").write_text(OWN + "\n# an edit\n")
    assert wfbt.run(path, out=tmp_path / "out", report=False).run_id != first.run_id


def test_a_mistake_in_a_part_names_the_file_and_the_part(study, tmp_path):
    wrong = {"hybrid": HYBRID["hybrid"] | {"confirm": {"rule": "momentum", "params": {"m": 3}}}}
    with pytest.raises(ConfigError, match=r"small\.yaml: policy\.hybrid\.confirm\.params\.m is not a parameter of mom"):
        wfbt.run(study(wrong), out=tmp_path / "out", report=False)
    searched = {"hybrid": HYBRID["hybrid"] | {"confirm": {"rule": "momentum", "search": {"n": [2.5]}}}}
    with pytest.raises(ConfigError, match=r"policy\.hybrid\.confirm\.search\.n of momentum must be a whole number"):
        wfbt.run(study(searched), out=tmp_path / "out", report=False)
    bracketed = {"ensemble": [{"rule": "ema_rsi_adx", "weight": 1}]}
    with pytest.raises(PolicyError, match=r"small\.yaml: ensemble: member 1 \(ema_rsi_adx\) puts out stop and take"):
        wfbt.run(study(bracketed), out=tmp_path / "out", report=False)
