"""Runs over folds that learn on both sides of their test, and over pairs of window lengths."""

import json
import math

import numpy as np
import pandas as pd
import pytest

import wfbt
from tests.data.parquet import START, bars_table, write
from tests.runs import HOUR, hours, numbers, write_strategy, write_study
from wfbt.assembly import read_market, study_of
from wfbt.config.load import load_strategy
from wfbt.errors import ConfigError, PolicyError
from wfbt.policies import policies_of
from wfbt.validation.folds import Fold, paths
from wfbt.validation.walk_forward import walk_forward

CPCV = {"scheme": "cpcv", "count": 5, "groups_out": 2, "embargo": "24h"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def purged(study, tmp_path_factory):
    return wfbt.run(study, scheme="purged", folds=4, out=tmp_path_factory.mktemp("purged"), jobs=1)


@pytest.fixture(scope="module")
def cpcv(study, tmp_path_factory):
    strategy = write_strategy(study.parent, "cpcv.yaml", folds=CPCV)
    return wfbt.run(strategy, out=tmp_path_factory.mktemp("cpcv"), jobs=1)


def again(strategy, out, **options):
    return wfbt.run(strategy, out=out, report=False, **options)


def page(result):
    return " ".join((result.folder / "index.html").read_text().split())


# Purged k-fold


def test_a_purged_account_covers_the_whole_span_in_time_order(purged):
    table = pd.read_parquet(purged.folder / "equity.parquet")
    assert table["timestamp"].is_monotonic_increasing
    assert len(table) == len(hours()["close"])
    assert table["fold"].drop_duplicates().tolist() == [1, 2, 3, 4]
    purged.ledger.reconcile()


def test_a_purged_fold_learns_from_both_sides_and_leaves_out_purge_and_embargo(purged):
    told = purged.to_dict()["folds"][1]
    assert told["blocks"]["test"] == [{"start": told["test_start"], "end": told["test_end"]}]
    before, after = told["blocks"]["train"]
    assert before["end"] == told["test_start"]
    assert pd.Timestamp(after["start"]) - pd.Timestamp(told["test_end"]) == pd.Timedelta("24h")
    assert (told["train_start"], told["train_end"]) == (before["start"], after["end"])


def test_a_purged_run_says_that_nobody_could_have_traded_it(purged):
    result = purged.to_dict()
    assert result["walk"] == {
        "scheme": "purged",
        "tradable": False,
        "why": result["walk"]["why"],
        "unused": ["folds.train", "folds.test"],
    }
    assert "nobody could have traded this account" in result["walk"]["why"]
    assert "nobody could have traded this account" in page(purged)


def test_a_walk_forward_says_nothing_of_paths_or_hindsight(study, tmp_path):
    result = again(study, tmp_path).to_dict()
    assert not {"walk", "paths", "matrix"} & result.keys()
    assert all("blocks" not in fold for fold in result["folds"])


def test_in_sample_numbers_of_several_blocks_are_those_of_their_returns_one_after_another(purged):
    for one, told in zip(purged.folds, purged.to_dict()["folds"], strict=True):
        own = one.trial.train_returns[one.trial.chosen]
        np.testing.assert_allclose(one.in_sample.returns_daily(), own, rtol=0, atol=1e-12)
        sharpe = own.mean() / own.std(ddof=1) * math.sqrt(365)
        assert told["in_sample"]["sharpe"] == pytest.approx(sharpe, rel=1e-9)
        assert told["objective"]["value"] == pytest.approx(sharpe, rel=1e-9)
        assert told["in_sample"]["total_return"] == pytest.approx(np.prod(1 + own) - 1, rel=1e-9)
        assert told["in_sample"]["trades"] == one.trial.round_trips[one.trial.chosen, 0]
        assert told["in_sample"]["days"] == len(own)
        assert one.in_sample.equity[-1] == pytest.approx(10000 * np.prod(1 + own), rel=1e-9)


def one_study(strategy):
    config = load_strategy(strategy)
    return study_of(config, read_market(config), policies_of(config), 1)[0]


def test_each_block_is_replayed_as_an_account_of_its_own(study):
    own = one_study(study)
    left, right, test, far = slice(0, 800), slice(1300, 2200), slice(850, 1200), slice(2300, 2800)
    whole = Fold(index=0, train=(left, right), test=(test, far))
    parts = [Fold(index=0, train=(left,), test=(test,)), Fold(index=1, train=(right,), test=(far,))]
    together = walk_forward(own, [whole]).folds[0].trial
    apart = [walk_forward(own, [part]).folds[0].trial for part in parts]
    for name in ("train_returns", "test_returns"):
        expected = np.concatenate([getattr(one, name) for one in apart], axis=1)
        np.testing.assert_array_equal(getattr(together, name), expected)
    np.testing.assert_array_equal(together.round_trips, apart[0].round_trips + apart[1].round_trips)


def test_with_nothing_to_choose_every_scheme_trades_the_same_account(study, tmp_path):
    policy = {"rule": "sma_cross", "params": {"fast": 8, "slow": 36}}
    strategy = write_strategy(study.parent, "single.yaml", policy={**policy, "search": {}}, folds=CPCV)
    combined = again(strategy, tmp_path)
    single = again(strategy, tmp_path, scheme="purged")
    assert len(combined.walk.paths) == 4
    for path in combined.walk.paths:
        np.testing.assert_array_equal(path.equity, single.ledger.equity)
    assert combined.to_dict()["oos"] == single.to_dict()["oos"]


# Combinatorial purged folds


def test_there_are_as_many_folds_and_paths_as_combinations(cpcv):
    result = cpcv.to_dict()
    assert (len(result["folds"]), len(result["paths"])) == (math.comb(5, 2), math.comb(4, 1))
    used = [(group, fold) for path in result["paths"] for group, fold in enumerate(path["folds"])]
    assert len(used) == len(set(used)) == 20


def test_headline_numbers_are_medians_over_the_paths(cpcv):
    result = cpcv.to_dict()
    for key in ("sharpe", "total_return", "max_drawdown", "turnover"):
        assert result["oos"][key] == pytest.approx(np.median([path[key] for path in result["paths"]]), rel=1e-12)
    trades = sorted(path["trades"] for path in result["paths"])
    assert result["oos"]["trades"] == trades[1]
    sharpes = [path["sharpe"] for path in result["paths"]]
    assert result["walk"]["spread"]["sharpe"]["lowest"] == min(sharpes)
    assert result["walk"]["spread"]["sharpe"]["q75"] == pytest.approx(np.quantile(sharpes, 0.75))


def test_the_account_that_is_shown_has_the_median_sharpe(cpcv):
    result = cpcv.to_dict()
    shown = result["paths"][result["walk"]["shown"] - 1]
    assert shown["sharpe"] == sorted(path["sharpe"] for path in result["paths"])[1]
    assert cpcv.ledger.metrics()["sharpe"] == shown["sharpe"]
    assert f"path {result['walk']['shown']}" in result["walk"]["of_shown"]
    fills = pd.read_parquet(cpcv.folder / "fills.parquet")
    assert result["costs"]["fees"] == pytest.approx(fills["fee"].sum(), rel=1e-12)


def test_the_equity_table_has_a_column_for_each_path(cpcv):
    table, result = pd.read_parquet(cpcv.folder / "equity.parquet"), cpcv.to_dict()
    for path in result["paths"]:
        column = table[f"path_{path['path']:02d}"]
        assert column.iloc[-1] / 10000 - 1 == pytest.approx(path["total_return"], rel=1e-12)
    shown = result["walk"]["shown"]
    np.testing.assert_array_equal(table["equity"], table[f"path_{shown:02d}"])
    assert table["fold"].drop_duplicates().tolist() == list(dict.fromkeys(result["paths"][shown - 1]["folds"]))


def test_a_fold_out_of_sample_is_its_groups_in_the_paths_that_hold_them(cpcv):
    table, folds = pd.read_parquet(cpcv.folder / "equity.parquet"), [one.fold for one in cpcv.folds]
    grown = dict.fromkeys(range(len(folds)), 1.0)
    for number, route in enumerate(paths(folds), start=1):
        equity = table[f"path_{number:02d}"].to_numpy()
        for place, block in route:
            grown[place] *= equity[block.stop - 1] / (equity[block.start - 1] if block.start else 10000)
    for place, told in enumerate(cpcv.to_dict()["folds"]):
        assert told["out_of_sample"]["total_return"] == pytest.approx(grown[place] - 1, rel=1e-9)


def test_the_page_shows_every_path_and_that_their_spread_is_no_standard_error(cpcv):
    text = page(cpcv)
    for path in cpcv.to_dict()["paths"]:
        assert f"{path['sharpe']:.2f}" in text
    assert "not a standard error" in text
    assert "are medians over 4 paths" in text
    assert 'id="figure-paths"' in text
    assert 'id="figure-growth"' not in text


@pytest.mark.parametrize("scheme", ["purged", "cpcv"])
def test_threads_and_interruptions_do_not_change_a_byte(study, tmp_path, scheme, purged, cpcv):
    strategy = study if scheme == "purged" else study.parent / "cpcv.yaml"
    folds, whole = (4, purged) if scheme == "purged" else (5, cpcv)

    def stop(what, done, total):
        if what.startswith("fold 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(strategy, tmp_path, scheme=scheme, folds=folds, jobs=2, progress=stop)
    told = []
    result = again(
        strategy, tmp_path, scheme=scheme, folds=folds, jobs=2, resume=True, progress=lambda what, *_: told.append(what)
    )
    assert sum("interrupted" in what for what in told) == 3
    assert numbers(result.folder) == numbers(whole.folder)


# Several symbols, fitted rules, sleeves

FITTED = """
import numpy as np

class Foresight:
    \"\"\"The sign of the mean return over the next `ahead` bars, learnt by sign of the last return.\"\"\"

    @staticmethod
    def label_horizon(ahead=12):
        return ahead

    def fit(self, bars, ahead=12):
        frames = bars if isinstance(bars, dict) else {"": bars}
        self.sign = 0.0
        for frame in frames.values():
            assert len(frame.attrs["blocks"]) >= 1
            for first, last in frame.attrs["blocks"]:
                close = frame.loc[first:last, "close"]
                assert (close.index.to_series().diff().dropna() == close.index[1] - close.index[0]).all()
                label = close.shift(-ahead) / close - 1
                self.sign += float(np.nansum(np.sign(close.pct_change()) * label))

    def targets(self, bars):
        frames = bars if isinstance(bars, dict) else {"": bars}
        out = {name: np.sign(self.sign * one["close"].pct_change().fillna(0)) / 2 for name, one in frames.items()}
        return out if isinstance(bars, dict) else out[""]
"""


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    write_study(folder)
    other = hours(seed=8)
    write(folder / "other.parquet", bars_table(ts=START + HOUR * np.arange(len(other["close"])), **other))
    (folder / "foresight.py").write_text(FITTED)
    tree = json.loads((folder / "small.yaml").read_text())
    return folder, {**tree["data"], "symbols": {**tree["data"]["symbols"], "BBB": {"bars": "other.parquet"}}}


@pytest.mark.parametrize("scheme", ["rolling", "purged", "cpcv"])
@pytest.mark.parametrize("alone", [True, False])
def test_a_fitted_rule_learns_from_no_row_whose_label_meets_the_test(several, tmp_path, scheme, alone):
    folder, data = several
    policy = {"rule": "foresight.py:Foresight", "search": {"ahead": [6, 30]}}
    sections = {"policy": policy, "exits": None, "folds": {"count": 4, "scheme": scheme, "embargo": "2h"}}
    strategy = write_strategy(folder, "fitted.yaml", **sections, **({} if alone else {"data": data}))
    result = again(strategy, tmp_path)
    for one in result.folds:
        learnt = np.concatenate([np.arange(block.start, block.stop) for block in one.fold.train])
        for block in one.fold.test:
            assert not ((learnt + 30 >= block.start) & (learnt < block.stop + 30 + 2)).any()
        assert {fit.symbol for fit in one.fits} == ({"AAA"} if alone else {"AAA", "BBB"})
        assert all(len(fit.rows) == len(learnt) for fit in one.fits)


def test_a_purge_shorter_than_the_labels_is_refused(several, tmp_path):
    folder, _ = several
    policy = {"rule": "foresight.py:Foresight", "search": {"ahead": [6, 30]}}
    folds = {"count": 4, "purge": "10h", "embargo": "2h"}
    strategy = write_strategy(folder, "short.yaml", policy=policy, exits=None, folds=folds)
    with pytest.raises(ConfigError, match=r"folds.purge: 10h leaves 72 training rows .* use auto"):
        again(strategy, tmp_path)


@pytest.mark.parametrize("declared", ["-1", "1.5", "True", "lambda ahead=12: 'far'"])
def test_a_label_horizon_that_is_no_number_of_bars_is_refused(several, tmp_path, declared):
    folder, _ = several
    (folder / "odd.py").write_text(FITTED + f"\nForesight.label_horizon = {declared}\n")
    strategy = write_strategy(folder, "odd.yaml", policy={"rule": "odd.py:Foresight", "search": {}})
    with pytest.raises(PolicyError, match="label_horizon must be a whole number of bars"):
        again(strategy, tmp_path)


SLEEVES = {
    "allocation": {"method": "inverse_volatility"},
    "members": {
        "fast": {"policy": {"rule": "sma_cross", "search": {"fast": [4, 8], "slow": [24, 36]}}},
        "slow": {"policy": {"rule": "breakout"}},
    },
}


@pytest.mark.parametrize("netting", [False, True])
def test_sleeves_are_weighed_on_the_training_rows_of_purged_folds(several, tmp_path, netting):
    folder, data = several
    exits = {"atr": 14, "stop_atr": None, "take_atr": None}
    sleeves = SLEEVES | {"netting": netting}
    folds = {"count": 3, "scheme": "purged"}
    strategy = write_strategy(folder, "sleeves.yaml", data=data, policy=None, sleeves=sleeves, exits=exits, folds=folds)
    result = again(strategy, tmp_path)
    result.ledger.reconcile()
    assert len(result.ledger.ts) == len(hours()["close"])
    for one in result.folds:
        moved = [share.trial.train_returns[share.trial.chosen].std(ddof=1) for share in one.sleeves]
        ratio = one.sleeves[0].weight / one.sleeves[1].weight
        assert ratio == pytest.approx(moved[1] / moved[0], rel=1e-9)
        learnt = sum(block.stop - block.start for block in one.fold.train)
        weighed = [fit for fit in one.fits if fit.what == "sleeves.allocation"]
        assert [(fit.symbol, len(fit.rows)) for fit in weighed] == [("AAA", learnt), ("BBB", learnt)]


def test_sleeves_over_paths_are_refused_by_name(several, tmp_path):
    folder, _ = several
    strategy = write_strategy(folder, "refused.yaml", policy=None, sleeves=SLEEVES, folds=CPCV)
    with pytest.raises(ConfigError, match="cpcv is not walked with sleeves"):
        again(strategy, tmp_path)


# Window lengths


@pytest.fixture(scope="module")
def matrix(study, tmp_path_factory):
    folds = {"matrix": {"train": ["40d", "60d"], "test": ["10d", "20d", "25d"]}}
    strategy = write_strategy(study.parent, "matrix.yaml", folds=folds)
    return wfbt.run(strategy, out=tmp_path_factory.mktemp("matrix"))


def test_each_pair_of_lengths_is_the_walk_forward_of_those_lengths(study, matrix, tmp_path):
    told = matrix.to_dict()["matrix"]
    assert (told["train"], told["test"], told["cells"]) == (["40d", "60d"], ["10d", "20d", "25d"], 6)
    own = write_strategy(study.parent, "own.yaml", folds={"train": "60d", "test": "20d", "count": 3})
    expected = again(own, tmp_path).to_dict()["oos"]
    pair = told["pairs"][4]
    assert (pair["train"], pair["test"], pair["folds"]) == ("60d", "20d", 3)
    for key in ("sharpe", "total_return", "max_drawdown", "trades"):
        assert pair[key] == expected[key]


def test_all_pairs_are_judged_on_the_same_days(matrix):
    pairs = matrix.to_dict()["matrix"]["pairs"]
    assert {pair["days"] for pair in pairs} == {60}
    assert [pair["folds"] for pair in pairs] == [6, 3, 3, 6, 3, 3]


def test_every_pair_of_a_matrix_is_a_look_that_counts(study, matrix, tmp_path):
    assert matrix.to_dict()["trials"]["looks_by_anyone"] == 1 + matrix.to_dict()["matrix"]["cells"]
    first = wfbt.run(study, out=tmp_path, report=False)
    again = wfbt.run(study.parent / "matrix.yaml", out=tmp_path, report=False)
    assert first.to_dict()["trials"]["looks_by_anyone"] == 1
    assert again.to_dict()["trials"]["looks_by_anyone"] == 1 + again.to_dict()["matrix"]["cells"]


def test_a_matrix_does_not_move_the_run_it_stands_beside(study, matrix, tmp_path):
    plain = again(study, tmp_path)
    np.testing.assert_array_equal(plain.ledger.equity, matrix.ledger.equity)
    assert plain.run_id != matrix.run_id


def test_the_page_shows_the_matrix_and_what_it_is_worth(matrix):
    text = page(matrix)
    assert "A result that holds for one pair only is luck" in text
    assert "tested on 25d" in text
    for pair in matrix.to_dict()["matrix"]["pairs"]:
        assert f"{pair['sharpe']:.2f}" in text


@pytest.mark.parametrize(
    ("folds", "says"),
    [
        ({"scheme": "purged", "matrix": {"train": ["40d"], "test": ["10d"]}}, "folds.scheme purged has none"),
        ({"scheme": "anchored", "matrix": {"train": ["40d", "60d"], "test": ["10d"]}}, "folds.matrix.train: anchored"),
        ({"matrix": {"train": ["200d"], "test": ["10d"]}}, "folds.matrix.train: the longest covers all"),
        ({"matrix": {"train": ["40d", "40d"], "test": ["10d"]}}, "folds.matrix.train must not name one length twice"),
        ({"matrix": {"train": [], "test": ["10d"]}}, "folds.matrix.train"),
        ({"matrix": {"train": ["40d"]}}, "folds.matrix.test"),
        ({"scheme": "cpcv", "count": 30, "groups_out": 10}, "30,045,015 ways"),
        ({"scheme": "cpcv", "count": 3, "groups_out": 3}, "folds.groups_out must be less than folds.count"),
        ({"scheme": "purged", "count": None, "test": "10d"}, "folds.count is required"),
    ],
)
def test_what_cannot_be_walked_is_refused_by_its_key(study, tmp_path, folds, says):
    strategy = write_strategy(study.parent, "wrong.yaml", folds=folds)
    with pytest.raises(ConfigError, match=says):
        again(strategy, tmp_path)


def test_what_does_not_walk_forward_has_no_walk_forward_efficiency(purged, cpcv):
    for result in (purged.to_dict(), cpcv.to_dict()):
        assert result["walk_forward_efficiency"] is None
        assert "does not walk forward" in result["reasons"]["walk_forward_efficiency"]
