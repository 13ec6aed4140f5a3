"""Monte Carlo and ruin in whole runs: every kind of strategy, and what is said where nothing can be."""

import json

import numpy as np
import pandas as pd
import pytest

import wfbt
from tests.data.parquet import START
from tests.runs import hours, numbers, write_study
from tests.simulation.asking import KINDS, rule_file, study_file
from wfbt.config.monte_carlo import MonteCarlo
from wfbt.data.market import HOUR
from wfbt.errors import ConfigError
from wfbt.simulation.section import replays_of

FEW = {"replays": 30, "paths": 200, "horizon": "30d", "sizes": [0.5, 1, 2]}
METHODS = ("historical", "filtered", "cornish_fisher", "pareto", "normal", "student")


def run(path, out, **options):
    return wfbt.run(path, out=out, report=False, **options)


def unexplained(told, place=""):
    """Where a null has no reason beside it."""
    if isinstance(told, list):
        return [gap for i, one in enumerate(told) for gap in unexplained(one, f"{place}[{i}]")]
    if not isinstance(told, dict):
        return []
    gaps = [f"{place}.{key}" for key, one in told.items() if one is None and not told.get("reasons", {}).get(key)]
    return gaps + [gap for key, one in told.items() for gap in unexplained(one, f"{place}.{key}")]


def several(folder, symbols=3, **sections):
    """One rule over several symbols in one account."""
    data = {}
    for number in range(symbols):
        place = folder if not number else folder / f"s{number}"
        path = write_study(place, hours(seed=3 + number), **sections) if number else None
        data[f"S{number}"] = {"bars": "bars.parquet" if not number else f"s{number}/bars.parquet"}
    path = write_study(folder, data={"symbols": data}, **sections)
    tree = json.loads(path.read_text())
    tree["data"]["symbols"] = data
    path.write_text(json.dumps(tree))
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_strategy_is_simulated_and_every_null_has_its_reason(kind, tmp_path):
    result = run(study_file(tmp_path, kind, monte_carlo=FEW), tmp_path / "out").to_dict()
    told, ruin = result["monte_carlo"], result["ruin"]
    assert not unexplained(told) and not unexplained(ruin)
    assert not {"monte_carlo", "ruin"} & set(result["reasons"])
    one_symbol = "data" not in KINDS[kind]
    assert {key for key in "12345" if told[key] is None} == ({"4"} if one_symbol else set())
    for key in "12345":
        if told[key]:
            assert told[key]["paths"] == 30 and len(told[key]["fan"]["days"]) == len(told[key]["fan"]["equity"]["p50"])
            assert told[key]["fan"]["equity"]["p5"][0] == 1.0 and told[key]["worry"].endswith(".")
    assert [row["method"] for row in ruin["tail"]["levels"]["0.95"]] == list(METHODS)
    assert [row["size"] for row in ruin["frontier"]["sizes"]] == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("kind", ["plain", "sleeves", "fitted"])
def test_simulated_markets_are_the_same_bytes_on_one_thread_and_on_two(kind, tmp_path):
    path = study_file(tmp_path, kind, monte_carlo=FEW | {"levels": [1, 5]})
    one, two = run(path, tmp_path / "one", jobs=1), run(path, tmp_path / "two", jobs=2)
    assert one.to_dict()["monte_carlo"]["1"] is not None
    assert numbers(one.folder) == numbers(two.folder)


def test_three_symbols_share_one_account_at_every_level(tmp_path):
    told = run(several(tmp_path, monte_carlo=FEW), tmp_path / "out").to_dict()["monte_carlo"]
    for key in "12345":
        assert told[key] is not None, told["reasons"][key]
        assert told[key]["never_traded"]["count"] < 30
    assert len(told["4"]["fit"]["parameters"]["correlation"]) == 3
    assert not unexplained(told)


def test_regimes_are_filtered_along_a_path_and_rotate_the_rule(tmp_path):
    rotate = {"calm": {"rule": "sma_cross"}, "turbulent": None}
    path = write_study(
        tmp_path, regimes={"states": 2}, policy={"rule": None, "search": {}, "rotate": rotate}, monte_carlo=FEW
    )
    told = run(path, tmp_path / "out").to_dict()["monte_carlo"]
    known = [told[key] for key in "1235" if told[key] is not None]
    assert known and not unexplained(told)


def news_study(folder, **section):
    """A rule that trades news of a bar's close, which know the return of the next bar."""
    bars = hours()
    path = rule_file(
        folder,
        "told",
        bars,
        data={
            "symbols": {"AAA": {"bars": "bars.parquet"}},
            "series": {"news": {"path": "news.parquet", "available": "ts"}},
        },
        monte_carlo=FEW | {"replays": 60, "levels": [1, 5]} | section,
    )
    close = bars["close"]
    tone = np.r_[np.log(close[1:] / close[:-1]), 0.0]
    ts = pd.to_datetime(START + HOUR * np.arange(1, len(close) + 1), utc=True)
    pd.DataFrame({"ts": ts, "tone": tone}).to_parquet(folder / "news.parquet")
    return path


def test_news_that_foretell_returns_do_so_at_level_5_alone(tmp_path):
    told = run(news_study(tmp_path), tmp_path / "out").to_dict()["monte_carlo"]
    assert told["5"]["total_return"]["p50"] > told["1"]["total_return"]["p95"]
    assert "news" in told["1"]["notes"][0] and "level 5 alone" in told["1"]["notes"][0]
    assert told["5"]["notes"] == []


def test_labels_of_a_series_condition_level_5(tmp_path):
    labels = {"series": "news", "cuts": [-0.002, 0.002]}
    told = run(news_study(tmp_path, labels=labels), tmp_path / "out").to_dict()["monte_carlo"]
    fit = told["5"]["fit"]["parameters"]
    assert fit["column"] == "tone" and set(fit["rows_by_label"]) <= {"unknown", "1", "2", "3"}
    assert sum(fit["rows_by_label"].values()) == told["train"]["rows"]


def test_labels_of_a_column_that_is_not_there_stop_the_run_before_it_walks(tmp_path):
    path = news_study(tmp_path, labels={"series": "news", "column": "mood"})
    with pytest.raises(ConfigError, match=r"monte_carlo.labels.column must be a column of news \(tone\), was 'mood'"):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").glob("small-*"))


def test_an_account_that_never_trades_has_flat_paths_and_no_ruin_to_tell_of(tmp_path):
    result = run(rule_file(tmp_path, "idle", monte_carlo=FEW | {"levels": [1]}), tmp_path / "out").to_dict()
    assert result["ruin"] is None and result["reasons"]["ruin"] == "it never traded out of sample"
    told = result["monte_carlo"]
    assert told["resampled"] is None and told["reasons"]["resampled"] == "it never traded out of sample"
    assert told["3"] is None and told["reasons"]["3"] == "monte_carlo.levels leaves it out"
    first = told["1"]
    assert [row["depth"] for row in first["drawdowns"][:3]] == [0.0] * 3
    assert first["annual_sharpe"]["p50"] is None
    assert first["annual_sharpe"]["reasons"]["p50"] == "daily returns do not vary"
    assert first["ruin"]["estimate"] == 0.0 and first["ruin"]["high"] == 3 / 30
    assert first["never_traded"]["estimate"] == 1.0


def test_too_few_days_out_of_sample_are_said(tmp_path):
    path = study_file(tmp_path, "plain", folds={"count": 1, "train": "95d"}, monte_carlo=FEW | {"levels": [1]})
    result = run(path, tmp_path / "out").to_dict()
    assert result["ruin"] is None and "days of returns out of sample; at least 30" in result["reasons"]["ruin"]
    assert result["monte_carlo"]["1"] is not None


def test_switched_off_both_are_null_with_their_reason(tmp_path):
    result = run(study_file(tmp_path, "plain"), tmp_path / "out").to_dict()
    for key in ("monte_carlo", "ruin"):
        assert result[key] is None and result["reasons"][key] == "the strategy's monte_carlo section is null"


def test_a_horizon_is_kept_and_what_lies_beyond_it_is_not_told(tmp_path):
    told = run(
        study_file(tmp_path, "plain", monte_carlo=FEW | {"levels": [1], "horizon": "60d"}), tmp_path / "out"
    ).to_dict()
    first = told["monte_carlo"]["1"]
    assert first["bars"] == 60 * 24 and first["fan"]["days"][-1] == first["days"]
    survival = told["ruin"]["survival"]["curves"][0]["points"]
    assert [one["days"] for one in survival] == [30, 60, 90, 180, 365]
    assert survival[1]["survived"] is not None and survival[2]["survived"] is None
    assert "60 periods" in survival[2]["reasons"]["survived"]


def test_a_level_replays_as_many_paths_as_its_bars_allow():
    given = MonteCarlo()
    assert replays_of(given, 8_760) == 600
    assert replays_of(given, 10 * 8_760) == 205
    assert replays_of(given, 525_600) == 50
    assert replays_of(MonteCarlo(replays=77), 525_600) == 77


@pytest.mark.parametrize(("limit", "enough"), [(0.05, False), (0.2, True)])
def test_days_after_the_drawdown_limit_stopped_the_account_are_counted_out(limit, enough, tmp_path):
    path = study_file(tmp_path, "plain", limits={"max_drawdown": limit}, monte_carlo=FEW | {"levels": []})
    result = run(path, tmp_path / "out").to_dict()
    stopped, days = result["events"]["stopped"], result["oos"]["days"]
    assert stopped is not None
    if enough:
        told, ruin = result["monte_carlo"]["resampled"], result["ruin"]
        assert told["stopped"] == ruin["stopped"] == stopped
        assert told["days_of_evidence"] + told["days_left_out"] == days and told["days_left_out"] > 0
        assert ruin["days_of_evidence"] == told["days_of_evidence"] >= 30
        assert not unexplained(told) and not unexplained(ruin)
    else:
        assert result["ruin"] is None
        why = f"before the drawdown limit stopped it on {stopped[:10]}; at least 30 are needed"
        assert result["reasons"]["ruin"].endswith(why)
        assert result["monte_carlo"]["reasons"]["resampled"] == result["reasons"]["ruin"]


def test_accounts_of_every_size_that_can_afford_all_orders_are_ruined_as_often_as_the_days_say(tmp_path):
    """However far the exposure drifts beyond the leverage between two orders."""
    path = rule_file(
        tmp_path, "hold", account={"cash": 10_000, "leverage": 5}, sizing={"max_position": 5},
        limits={"max_daily_loss": None, "max_drawdown": None, "cooldown": None, "max_leverage": 5},
        monte_carlo=FEW | {"levels": [], "horizon": "365d", "min_order": 0, "paths": 500, "ruin": 0.4},
    )  # fmt: skip
    source = tmp_path / "rules.py"
    source.write_text(source.read_text().replace("return np.ones(len(bars))", "return 5.0 * np.ones(len(bars))"))
    run_of = run(path, tmp_path / "out")
    assert np.nanmax(run_of.ledger.gross_exposure) > 5.2
    ruin = run_of.to_dict()["ruin"]
    own = ruin["within_a_year"]["resampled"]
    assert 0 < own["count"] < own["n"]
    for curve in ruin["survival"]["curves"]:
        (year,) = (point for point in curve["points"] if point["days"] == 365)
        assert year["survived"]["count"] == own["n"] - own["count"] and curve["too_small"] == 0.0
