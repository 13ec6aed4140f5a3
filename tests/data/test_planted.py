from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from wfbt.data.load import load_market
from wfbt.data.market import DAY
from wfbt.data.planted import Planted, draw, pull_of, sharpe_of, signal_names, turnover_of, write_planted
from wfbt.errors import ConfigError

LONG = 400_000
THREE = Planted(sharpe=3.0, days=LONG, signals=2)


def seed(number=0):
    return np.random.SeedSequence([41, number])


def held(planted, signal, returns):
    """Daily returns after costs of holding the sign of a signal beyond its level, by the definition."""
    position = np.where(np.abs(signal) >= planted.level, np.sign(signal), 0.0)
    traded = np.abs(np.diff(position, prepend=0.0))
    return position[:-1] * returns[1:] - planted.cost_bps * 1e-4 * traded[:-1]


def annual(returns):
    """Sharpe ratio, and its standard error from a thousand blocks, which needs no model."""
    parts = np.array([block.mean() / block.std() for block in np.array_split(returns, 1000)])
    return np.array([returns.mean() / returns.std(), parts.std() / np.sqrt(1000)]) * np.sqrt(365.0)


@pytest.mark.parametrize("sharpe", [1.0, 2.0, 3.0])
def test_the_planted_signal_is_worth_the_sharpe_ratio_it_was_planted_for(sharpe):
    planted = replace(THREE, sharpe=sharpe)
    returns, signals, where = draw(planted, seed())
    found, error = annual(held(planted, signals[:, where], returns))
    assert error < 0.05
    assert abs(found - sharpe) < 4 * error


def test_every_other_signal_is_worth_its_costs_and_nothing_else():
    returns, signals, where = draw(THREE, seed(1))
    found, error = annual(held(replace(THREE, cost_bps=0.0), signals[:, 1 - where], returns))
    assert abs(found) < 4 * error


def test_without_a_plant_no_signal_is_worth_anything():
    planted = Planted(sharpe=0.0, days=LONG, signals=1, cost_bps=0.0)
    assert pull_of(planted) == 0
    returns, signals, _ = draw(planted, seed(2))
    found, error = annual(held(planted, signals[:, 0], returns))
    assert abs(found) < 4 * error


def test_what_is_new_in_a_signal_moves_the_next_day_and_not_its_own():
    returns, signals, where = draw(THREE, seed(3))
    signal = signals[:, where]
    news = signal[1:] - THREE.persistence * signal[:-1]
    error = 1 / np.sqrt(LONG)
    assert abs(np.corrcoef(news, returns[1:])[0, 1]) < 4 * error
    assert np.corrcoef(news[:-1], returns[2:])[0, 1] > 20 * error


def test_turnover_is_that_of_the_rule():
    _, signals, _ = draw(THREE, seed(4))
    position = np.where(np.abs(signals) >= THREE.level, np.sign(signals), 0.0)
    assert np.abs(np.diff(position, axis=0)).mean() == pytest.approx(turnover_of(THREE), rel=0.01)


def test_the_pull_is_the_root_of_its_sharpe_ratio():
    for sharpe in (0.5, 2.0, 5.0):
        planted = replace(THREE, sharpe=sharpe)
        assert sharpe_of(pull_of(planted), planted) == pytest.approx(sharpe, rel=1e-9)
    assert sharpe_of(0.0, THREE) < 0, "what is worth nothing pays its costs"


def test_the_market_is_as_volatile_as_it_says_with_fat_tails():
    returns, _, _ = draw(replace(THREE, sharpe=0.0), seed(5))
    assert returns.std() * np.sqrt(365) == pytest.approx(THREE.volatility, rel=0.03)
    assert ((returns / returns.std()) ** 4).mean() > 6


def test_a_signal_is_published_before_the_close_that_its_own_day_ends_with(tmp_path):
    planted = Planted(sharpe=2.0, days=400)
    write_planted(tmp_path, planted, seed())
    opens = pq.read_table(tmp_path / "bars.parquet")["ts"].cast("int64").to_numpy() * 1000
    published = pq.read_table(tmp_path / "signals.parquet")["published_at"].cast("int64").to_numpy() * 1000
    assert (published > opens).all()
    assert (published < opens + DAY).all()


def test_the_files_hold_what_was_drawn_and_are_a_market_without_findings(tmp_path):
    planted = Planted(sharpe=2.0, days=3000)
    column = write_planted(tmp_path, planted, seed())
    market = load_market(
        {"AAA": {"bars": tmp_path / "bars.parquet"}},
        series={"signals": {"path": tmp_path / "signals.parquet", "available": "published_at"}},
    )
    close = market.instruments[0].bars.close
    returns, signals, where = draw(planted, seed().spawn(2)[0])
    assert np.allclose(close[1:] / close[:-1] - 1, returns[1:])
    assert np.array_equal(market.series[0].values[:, where], signals[:, where])
    assert market.series[0].columns == tuple(signal_names(planted))
    assert column == signal_names(planted)[where]
    assert market.instruments[0].generated


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    planted = Planted(sharpe=2.0, days=100, signals=3)
    for place in ("one", "other"):
        (tmp_path / place).mkdir()
        write_planted(tmp_path / place, planted, seed(6))
    for name in ("bars.parquet", "signals.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"days": 0}, "days must be >= 1"),
        ({"sharpe": -1.0}, "sharpe"),
        ({"persistence": 1.0}, "persistence"),
        ({"tail": 2.0}, "tail"),
        ({"level": 0.0}, "level must be > 0"),
    ],
)
def test_a_market_that_cannot_be_is_refused(changed, told):
    with pytest.raises(ConfigError, match=told):
        replace(THREE, **changed)


def test_more_than_any_signal_could_be_worth_is_refused():
    with pytest.raises(ConfigError, match="no signal is worth a Sharpe ratio of 90"):
        pull_of(replace(THREE, sharpe=90.0))
