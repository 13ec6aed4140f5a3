"""Thinning keeps what the eye looks for, and derived drawings add up."""

import dataclasses

import numpy as np
import pytest

from wfbt.errors import LedgerError
from wfbt.report.figures import MAX_POINTS, figures, monthly_returns, thin, trade_results, waterfall


@pytest.mark.parametrize("n", [1, 2, 2999, 3000, 3001, 5999, 6001, 50_935])
def test_thinning_keeps_the_ends_and_the_extremes_within_the_limit(n):
    values = np.random.default_rng(n).normal(size=n).cumsum()
    rows = thin(values)
    assert len(rows) <= MAX_POINTS
    assert np.all(np.diff(rows) > 0)
    assert (rows[0], rows[-1]) == (0, n - 1)
    assert values[rows].max() == values.max()
    assert values[rows].min() == values.min()


def test_no_drawn_line_has_more_points_than_the_limit(fake):
    run = fake(folds=12, days=400)
    for figure in figures(run.result, run.curves, run.trades).values():
        assert all(len(trace.x) <= MAX_POINTS for trace in figure.data)


def test_months_compound_to_the_total_return(fake):
    curves = fake(folds=1, days=400).curves
    table = monthly_returns(curves)
    assert list(table) == [2021, 2022]
    assert table[2022][2:12] == [None] * 10  # the record ends in February
    months = [value for row in table.values() for value in row[:12] if value is not None]
    assert np.prod(np.add(months, 1)) == pytest.approx(np.prod(1 + curves.returns), rel=1e-12)
    assert np.prod([1 + row[12] for row in table.values()]) == pytest.approx(np.prod(1 + curves.returns), rel=1e-12)


def test_the_histogram_counts_every_round_trip_and_mixes_no_gain_with_a_loss(fake):
    trades = fake(folds=1, days=200, trips=300).trades
    bars = trade_results(trades).data[0]
    assert sum(bars.y) == 300
    assert not any(low < -1e-12 and high > 1e-12 for low, high in bars.customdata)
    assert sum(count for count, x in zip(bars.y, bars.x, strict=True) if x < 0) == (trades["return"] < 0).sum()


@pytest.mark.parametrize("returns", [[0.0], [0.5], [-0.02, -0.02], [1e-9, -1e-9], [12.0, -1.0]])
def test_odd_trade_returns_fit_a_histogram(fake, returns):
    trades = fake(folds=1, days=60, trips=len(returns)).trades.assign(**{"return": returns})
    bars = trade_results(trades).data[0]
    assert sum(bars.y) == len(returns)
    assert len(bars.x) <= 60


def test_a_ruined_account_is_drawn(fake):
    run = fake(folds=2, days=60)
    equity = run.curves.equity.copy()
    equity[700:] = 0.0
    ruined = dataclasses.replace(run.curves, equity=equity, drawdown=1 - equity / np.maximum.accumulate(equity))
    drawn = figures(run.result, ruined, run.trades)["account"]
    assert min(next(trace.y.min() for trace in drawn.data if trace.name == "Strategy"), 1.0) == 0.0


def test_curves_of_unequal_length_are_refused_by_name(fake):
    curves = fake(folds=1, days=40).curves
    with pytest.raises(LedgerError, match=r"curves\.drawdown must have shape \(960,\), was \(5,\)"):
        dataclasses.replace(curves, drawdown=np.zeros(5))


def test_the_waterfall_falls_from_the_decisions_to_the_net_and_leaves_out_what_did_nothing(fake):
    run = fake(folds=1, days=60)
    (bars,) = waterfall(run.result).data
    assert list(bars.x) == ["Decisions", "Delay", "Spread", "Impact", "Fees", "Funding", "Net"]
    assert bars.measure == ("absolute", *["relative"] * 5, "total")
    assert sum(bars.y[:-1]) == pytest.approx(bars.y[-1])
    low, high = waterfall(run.result).layout.yaxis.range
    assert low < min(0.0, *np.cumsum(bars.y[:-1]))
    assert high > max(np.cumsum(bars.y[:-1]))


def test_no_waterfall_is_drawn_of_an_account_that_never_traded(fake):
    assert waterfall(fake(folds=1, days=60, trips=0).result) is None
    assert waterfall({"attribution": None}) is None
