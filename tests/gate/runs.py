"""A run that has everything the default gate asks for, made by hand."""

from copy import deepcopy

import numpy as np

from wfbt.config.schema import Mandate
from wfbt.gate.criteria import profile
from wfbt.gate.facts import Daily, Tries
from wfbt.gate.judge import judge

FIRST = Tries(attempt=1, series=1)
MANDATE = Mandate(max_drawdown=0.25, max_stress_loss=0.5, min_sharpe=1.0)


def daily(sharpe=3.0, days=1200, folds=12, seed=5):
    """Days of exactly this annual Sharpe ratio, in a market that went nowhere in particular."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(days)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    held = 0.02 * rng.standard_normal(days)
    returns = 0.01 * (noise + sharpe / np.sqrt(365.0))
    fold = np.repeat(np.arange(1, folds + 1), days // folds + 1)[:days]
    return Daily(returns=returns, held=held, fold=fold, periods_per_year=365.0)


def result(of, sharpe=3.0):
    """result.json of these days, as far as the default gate reads it."""
    year = {"loss": 0.5, "days": 365, "estimate": 0.0, "low": 0.0, "high": 0.006}
    falls = [{"percentile": 50.0, "depth": 0.05}, {"percentile": 95.0, "depth": 0.15}]
    places = ("resampled", "1", "2", "3", "5")
    replay = {"quantiles": {"q05": 0.5 * sharpe, "median": 0.9 * sharpe}}
    return {
        "run_id": "by-hand",
        "data": {"BTCUSDT": {}},
        "folds": [{"index": int(one), "out_of_sample": {"sharpe": sharpe}} for one in np.unique(of.fold)],
        "oos": {
            "sharpe": sharpe,
            "total_return": float(np.prod(1.0 + of.returns) - 1.0),
            "max_drawdown": 0.12,
            "trades": 400,
            "days": len(of.returns),
        },
        "benchmark": {"total_return": float(np.prod(1.0 + of.held) - 1.0)},
        "leakage": {"passed": True, "detection_probability": 0.96},
        "overfitting": {"fold_concentration": {"without_best": 0.4, "reasons": {}}},
        "robustness": {
            "params": deepcopy(replay) | {"reach": 0.2},
            "noise": deepcopy(replay) | {"noise": 0.001},
            "delay": deepcopy(replay) | {"fixed": [{"bars": bars, "sharpe": 0.8 * sharpe} for bars in range(6)]},
            "bootstrap": {"quantiles": {"q05": 1.0}},
            "latency": {"sharpe": 2.0},
            "costs": {"levels": [{"multiple": 2.0, "sharpe": 0.7 * sharpe}, {"multiple": 3.0, "sharpe": 0.1}]},
        },
        "stress": {
            "within_mandate": True,
            "max_stress_loss": 0.5,
            "worst": "flash crash, one bar",
            "scenarios": [
                {"name": "flash crash, one bar", "loss": 0.3, "severity": {"shock": -0.3}},
                {"name": "flash crash, 6 bars", "loss": 0.2, "severity": {"shock": -0.3}},
                {"name": "liquidity crisis", "loss": 0.1, "severity": {"spread": 10.0, "volume": 0.1}},
                {"name": "correlation breakdown, to one", "loss": None, "reasons": {"loss": "one symbol is traded"}},
                {"name": "exchange outage, 24h", "loss": 0.1, "severity": {"outage_hours": 24.0}},
            ],
        },
        "monte_carlo": {
            "horizon_days": 365.0,
            **{level: {"paths": 500} for level in "1235"},
            "4": None,
            "reasons": {"4": "one symbol: level 4 is level 3"},
        },
        "ruin": {
            "within_a_year": {place: dict(year) for place in places},
            "drawdowns": {place: deepcopy(falls) for place in places},
        },
        "regimes": {"by_regime": {"calm": {"sharpe": 2.0, "reasons": {}}, "wild": {"sharpe": 1.0, "reasons": {}}}},
    }


def judged(told, of, tries=FIRST, criteria=None, mandate=MANDATE, integrity=()):
    return judge(told, of, tries, mandate, criteria or profile("default"), integrity)


def found(verdict, name):
    (one,) = [one for one in verdict.findings if one.criterion.name == name]
    return one
