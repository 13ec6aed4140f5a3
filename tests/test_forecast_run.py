"""A strategy that forecasts volatility, from its file to its page."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import wfbt
from tests.runs import hours, numbers, write_study
from tests.validation.test_sleeves import lay_data, policy, strategy
from wfbt.features.forecast import VolatilityFit

VOLATILITY = {"model": "gjr-garch", "dist": "t", "horizon": "24h", "sizing": True}
SIZED = {
    "volatility": VOLATILITY,
    "sizing": {"method": "volatility", "goal": 0.3},
    "exits": {"stop_atr": None, "take_atr": None, "stop_vol": 2.0},
    "costs": {"participation": None},
}
SEES = """
import numpy as np
import pandas as pd

def calm(bars, n=24):
    usual = bars["volatility"].rolling(n).mean()
    return pd.Series(np.where(bars["volatility"] < usual, 1.0, 0.0), index=bars.index)
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"), **SIZED)


@pytest.fixture(scope="module")
def done(study, tmp_path_factory):
    return wfbt.run(study, out=tmp_path_factory.mktemp("done"), jobs=1)


def test_any_number_of_threads_and_an_interruption_give_the_same_bytes(study, done, tmp_path):
    for jobs in (1, 2):
        result = wfbt.run(study, out=tmp_path / str(jobs), report=False, jobs=jobs)
        assert numbers(result.folder) == numbers(done.folder)


def test_every_fold_says_what_was_fitted_on_which_training_rows(done):
    told = json.loads((done.folder / "result.json").read_text())
    for fold, own in zip(told["folds"], done.folds, strict=True):
        (fit,) = fold["fits"]
        assert (fit["what"], fit["symbol"]) == ("volatility", "AAA")
        # A fold's first bar has closed one hour after training began.
        assert pd.Timestamp(fit["first"]) - pd.Timestamp(fold["train_start"]) == pd.Timedelta("1h")
        assert fit["last"] == fold["train_end"]
        assert isinstance(own.fits[0], VolatilityFit)


def test_the_result_tells_the_parameters_the_losses_and_the_regression_of_every_symbol(done):
    told = json.loads((done.folder / "result.json").read_text())
    (symbol, one), *others = told["volatility"].items()
    assert symbol == "AAA" and not others and "volatility" not in told["reasons"]
    assert [fold["index"] for fold in one["folds"]] == [1, 2, 3]
    for fold in one["folds"]:
        assert set(fold["params"]) == {"mu", "omega", "alpha", "gamma", "beta", "nu"}
        assert fold["returns"] == 60 * 24 - 24 - 1
    assert set(one["qlike"]) == {"model", "atr", "trailing"}
    assert set(one["mz"]) == {"alpha", "beta", "r2", "p", "lags", "reasons"}
    assert one["n"] == len(one["series"]["ts"]) == len(one["series"]["forecast"]) >= 55
    # The made-up prices are of one volatility, 0.8% an hour.
    assert np.median(one["series"]["forecast"]) == pytest.approx(0.008 * np.sqrt(365 * 24), rel=0.1)


def test_positions_are_as_large_as_the_forecast_of_their_fold_asks_for(done):
    orders = done.ledger.orders_frame()
    views = done.walk.views
    checked = 0
    for fill, row in zip(done.ledger.fills_frame().itertuples(), done.ledger.fill_rows, strict=True):
        if fill.reason != "target" or row == 0:
            continue
        weight = abs(done.ledger.position[row, 0]) * done.ledger.mark[row - 1, 0] / done.ledger.equity[row - 1]
        fold = next(i for i, one in enumerate(done.folds) if done.ledger.ts[row - 1] <= one.out_of_sample.ts[-1])
        frame = views[fold].frames["AAA"]
        known = frame.index.asi8.searchsorted(done.ledger.ts[row - 1])
        if weight > 0:
            assert weight == pytest.approx(min(0.3 / views[fold].forecast["AAA"][known], 1.0), rel=0.02)
            checked += 1
    assert checked > 20 and len(orders) >= checked


def test_the_page_shows_the_forecasts_and_what_they_mean(done):
    page = (done.folder / "index.html").read_text()
    assert "Forecasts of volatility" in page
    assert "GJR-GARCH with Student&#39;s t innovations" in page
    assert re.search(r"AAA: the forecast&#39;s loss is (\d+% (below|above)|as large as) the trailing", page)
    assert 'id="figure-volatility"' in page
    assert "volatility section" not in page.partition("Not evaluated")[2].partition("How to reproduce")[0]


def test_without_the_section_nothing_is_fitted_and_the_result_says_so(tmp_path):
    told = wfbt.run(write_study(tmp_path), out=tmp_path / "out", report=False).to_dict()
    assert told["volatility"] is None
    assert "has no volatility section" in told["reasons"]["volatility"]
    assert [fold["fits"] for fold in told["folds"]] == [[], [], []]


def test_a_forecast_that_nothing_follows_leaves_every_trade_as_it_was(tmp_path):
    sections = {"sizing": {"method": "volatility", "goal": 0.3}}
    one = wfbt.run(write_study(tmp_path / "one", **sections), out=tmp_path, report=False)
    two = wfbt.run(write_study(tmp_path / "two", **sections, volatility={"model": "har"}), out=tmp_path, report=False)
    assert one.run_id != two.run_id
    for name in ("fills", "equity", "candidates"):
        files = [(result.folder / f"{name}.parquet").read_bytes() for result in (one, two)]
        assert files[0] == files[1]


def test_a_rule_sees_the_forecast_of_its_fold(tmp_path):
    (tmp_path / "rules.py").write_text(SEES)
    path = write_study(tmp_path, volatility={}, exits=None, policy={"rule": "rules.py:calm", "search": {"n": [24, 48]}})
    result = wfbt.run(path, out=tmp_path / "out", report=False)
    assert len(result.ledger.fills) > 50
    assert result.folds[0].fits[0].model == "gjr-garch"


def test_training_too_short_for_a_fit_falls_back_and_names_fold_and_symbol(tmp_path):
    ten = {"folds": {"count": 2, "train": "10d", "embargo": "0s", "objective": "total_return"}}
    told = wfbt.run(write_study(tmp_path, **SIZED | ten), out=tmp_path / "out", report=False).to_dict()
    assert told["notes"][-1] == (
        "volatility: AAA, folds 1, 2: 239 training returns are fewer than 250; the trailing volatility stands in"
    )
    assert {fold["model"] for fold in told["volatility"]["AAA"]["folds"]} == {"trailing"}
    assert told["volatility"]["AAA"]["qlike"]["model"] == told["volatility"]["AAA"]["qlike"]["trailing"]


def test_too_few_horizons_are_not_judged(tmp_path):
    month = VOLATILITY | {"horizon": "30d"}
    result = wfbt.run(write_study(tmp_path, **SIZED | {"volatility": month}), out=tmp_path / "out")
    one = result.to_dict()["volatility"]["AAA"]
    assert one["qlike"] is None and one["mz"] is None
    assert one["reasons"]["qlike"] == "2 horizons of 720 h were forecast out of sample, fewer than 30"
    assert "2 horizons of 720 h" in (result.folder / "index.html").read_text()


@pytest.mark.parametrize("netting", [True, False])
def test_sleeves_size_by_the_forecasts_of_what_they_trade(tmp_path, netting):
    folder = lay_data(tmp_path, hours(seed=3), hours(seed=4))
    members = {
        "one": {"policy": policy("rules.py:wave"), "symbols": ["AAA"], "weight": 0.5},
        "two": {"policy": policy("sma_cross", fast=4, slow=24), "weight": 0.5},
    }
    sized = {**SIZED, "limits": {"max_leverage": 4}, "account": {"cash": 10000, "leverage": 4}}
    path = strategy(folder, members, {"method": "fixed"}, netting, **sized)
    result = wfbt.run(path, out=tmp_path / "out", report=netting)
    told = result.to_dict()["volatility"]
    assert set(told) == {"AAA", "BBB"}
    assert all(fold["model"] == "gjr-garch" for one in told.values() for fold in one["folds"])
    # One symbol that two sleeves trade is fitted on the same rows, and so the same.
    for fold in result.folds:
        own = [dict(fit.params) for fit in fold.fits if fit.symbol == "AAA"]
        assert len(own) == 2 and own[0] == own[1]
    assert {symbol.partition("@")[0] for symbol in result.ledger.trades()["symbol"]} == {"AAA", "BBB"}
    assert set(result.ledger.fills_frame()["reason"]) >= {"target", "stop"}


def test_the_future_changes_no_earlier_fill(study, done, tmp_path):
    """The last two weeks otherwise: what was fitted, sized, stopped and paid before them stays, bit for bit."""
    changed = hours()
    rng = np.random.default_rng(1)
    cut = len(changed["close"]) - 14 * 24
    shock = np.exp(np.cumsum(rng.normal(0, 0.05, 14 * 24)))
    for name in ("open", "high", "low", "close"):
        changed[name][cut:] *= shock
    prices = np.stack([changed[name] for name in ("open", "high", "low", "close")])
    changed["high"], changed["low"] = prices.max(axis=0), prices.min(axis=0)
    other = wfbt.run(write_study(tmp_path, changed, **SIZED), out=tmp_path / "out", report=False)
    until = done.walk.views[-1].frames["AAA"].index.asi8[cut - 1]
    for one, two in zip(done.folds, other.folds, strict=True):
        assert dict(one.fits[0].params) == dict(two.fits[0].params)
    known = int(np.searchsorted(done.ledger.ts, until, side="right"))
    assert done.ledger.equity[:known].tobytes() == other.ledger.equity[:known].tobytes()
    assert done.ledger.equity[-1] != other.ledger.equity[-1]
    fills = [run.ledger.fills_frame() for run in (done, other)]
    before = [frame[run.ledger.fill_rows < known] for frame, run in zip(fills, (done, other), strict=True)]
    pd.testing.assert_frame_equal(*before)
    assert len(before[0]) > 20


def test_a_limit_on_forecast_volatility_opens_nothing_above_it_and_judges_each_fold_by_its_own_forecast(tmp_path):
    def walked(name, **sections):
        study = write_study(
            tmp_path / name, **SIZED | {"policy": {"rule": "momentum", "params": {"n": 3}, "search": {}}} | sections
        )
        return wfbt.run(study, out=tmp_path / "out", report=False)

    free = walked("free")
    values = np.concatenate([view.forecast["AAA"] for view in free.walk.views])
    most = float(np.nanmedian(values))
    bound = walked(
        "bound",
        volatility=VOLATILITY | {"limit": True},
        limits={"max_volatility": {"most": most, "act": "refuse"}},
    )
    assert 0 < len(bound.ledger.fills) < len(free.ledger.fills)
    deck = bound.walk.decided.deck
    edges = [(int(deck.close_ts[block.start]), place) for place, block in bound.walk.route]
    closes = deck.close_ts
    opened = bound.ledger.orders_frame().query("filled * goal > 0")
    assert len(opened)
    for order in opened.itertuples():
        # It goes live a fraction of a second after the close that decided it.
        row = int(np.searchsorted(closes, pd.Timestamp(order.live).value)) - 1
        fold = max(place for start, place in edges if start <= closes[row])
        assert bound.walk.views[fold].forecast["AAA"][row] <= most


def test_a_limit_on_forecast_volatility_needs_the_limit_and_no_sleeves(tmp_path):
    study = write_study(tmp_path, **SIZED | {"volatility": VOLATILITY | {"limit": True}})
    with pytest.raises(wfbt.errors.ConfigError, match=r"volatility\.limit needs limits\.max_volatility"):
        wfbt.run(study, out=tmp_path / "out", report=False)
