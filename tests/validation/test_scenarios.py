"""Bad days on markets of a few bars, checked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wfbt
from tests.engine.stage import FREE, filled, instrument, market, said
from wfbt.data.market import HOUR
from wfbt.engine.account import Account, Exits
from wfbt.engine.backtest import _as_columns, replay_ledger
from wfbt.engine.intents import Lowering
from wfbt.engine.orders import Participation
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import lay_out
from wfbt.errors import DataError
from wfbt.validation.copula import coupled, nearest_correlation, recoupled
from wfbt.validation.scenarios import Failing, Scenario, halted, priced, seen, thinned

CALM = [100.0] * 12
FALL = Scenario(name="fall", what="", shock=-0.3)


def told(data, by_row, *, alter=lambda deck: deck, **parts):
    """Replay intents on chosen rows of an altered deck."""
    setup = Setup(**parts)
    deck = lay_out(data, setup, 0)
    targets = said(len(deck.decisions), by_row)
    intents = Lowering(data, deck, setup).lower(_as_columns(targets, deck))
    return replay_ledger(alter(deck), intents, rules_of(setup, deck.horizon))


def test_a_crash_gaps_over_a_stop_which_fills_at_the_open_of_the_gap():
    data = priced(market(instrument(CALM)), FALL, 5 * HOUR)
    ledger = wfbt.backtest(data, said(12, {1: {"target": 1.0, "stop": 10.0}}), costs=FREE, account=Account(cash=1000.0))
    assert filled(ledger, "row", "price", "reason") == [(2, 100.0, "target"), (5, pytest.approx(70.0), "stop")]
    assert ledger.equity[-1] == pytest.approx(700.0)


def test_a_crash_over_several_bars_opens_each_on_its_part_and_takes_back_what_it_is_told_to():
    bad = replace(FALL, bars=2, recover=0.5)
    bars = priced(market(instrument(CALM)), bad, 5 * HOUR).instruments[0].bars
    low = 100 * np.sqrt(0.7)
    assert bars.open[4:10] == pytest.approx([100.0, low, 70.0, np.sqrt(70.0 * 85.0), 85.0, 85.0])
    assert bars.close == pytest.approx(bars.open)
    assert bars.close[-1] == pytest.approx(85.0)


@pytest.mark.parametrize(("leverage", "survives"), [(1.0, True), (4.0, False)])
def test_a_crash_of_thirty_percent_liquidates_four_times_the_equity_and_not_once(leverage, survives):
    # Six bars that reach 5 % below their open: 40 units at 100 on 1000 meet 1000 + 40(p - 100) = 0.005 * 40 * p.
    rows = [(100.0, 100.0, 95.0, 100.0)] * 12
    data = priced(market(instrument(rows)), replace(FALL, bars=6), 3 * HOUR)
    account = Account(cash=1000.0, leverage=4.0, maintenance=0.005)
    ledger = wfbt.backtest(data, said(12, {1: leverage}), costs=FREE, account=account)
    assert (len(ledger.liquidations) == 0) is survives
    if not survives:
        assert ledger.liquidations["price"][0] == pytest.approx(3000.0 / (40 * 0.995))
        assert ledger.shortfall.sum() == 0.0


def test_one_bar_that_falls_thirty_percent_leaves_a_shortfall_to_the_insurance():
    data = priced(market(instrument(CALM)), FALL, 5 * HOUR)
    ledger = wfbt.backtest(data, said(12, {1: 4.0}), costs=FREE, account=Account(cash=1000.0, leverage=4.0))
    assert ledger.liquidations["price"][0] == pytest.approx(70.0)
    assert ledger.shortfall.sum() == pytest.approx(200.0)
    assert ledger.equity[-1] == 0.0


def test_a_shock_of_one_symbol_leaves_the_others_alone():
    data = market(instrument(CALM), instrument(CALM, symbol="Y"))
    there = priced(data, replace(FALL, symbols=("Y",)), 5 * HOUR)
    assert there.instruments[0] is data.instruments[0]
    assert there.instruments[1].bars.close[-1] == pytest.approx(70.0)


def test_marks_execution_bars_and_funding_marks_move_with_the_bars():
    fine = instrument([100.0] * 48, period=HOUR // 4)
    mark = instrument([99.0] * 12)
    paid = wfbt.Funding(ts=np.array([5, 6]) * HOUR, rate=np.full(2, 1e-4), mark=np.full(2, 99.0))
    one = replace(instrument(CALM, mark=mark.bars, execution_bars=fine.bars), funding=paid)
    (there,) = priced(market(one), FALL, 5 * HOUR).instruments
    assert there.mark.close[4:6] == pytest.approx([99.0, 69.3])
    assert there.execution_bars.close[19:21] == pytest.approx([100.0, 70.0])
    # The stamp at the first shocked open is settled at the mark before it.
    assert there.funding.mark == pytest.approx([99.0, 69.3])


@pytest.mark.parametrize("hours", [1, 4])
def test_an_outage_delays_an_exit_by_as_long_as_it_lasts(hours):
    rows = [100.0 + i for i in range(12)]

    def out(deck):
        return halted(deck, 5 * HOUR, hours * HOUR)

    ledger = told(market(instrument(rows)), {1: 1.0, 4: 0.0}, alter=out, costs=FREE, account=Account(cash=1000.0))
    assert filled(ledger, "row", "price") == [(2, 102.0), (5 + hours, 105.0 + hours)]


def test_stops_and_liquidation_wait_for_the_end_of_an_outage_while_marks_move():
    rows = [100.0] * 5 + [68.0] * 3 + [90.0] * 4
    account = Account(cash=1000.0, leverage=3.0, maintenance=0.05)

    def out(deck):
        return halted(deck, 5 * HOUR, 3 * HOUR)

    at_once = told(market(instrument(rows)), {1: 3.0}, costs=FREE, account=account)
    later = told(market(instrument(rows)), {1: 3.0}, alter=out, costs=FREE, account=account)
    assert len(at_once.liquidations) == 1
    assert len(later.liquidations) == 0
    assert later.equity[4:9] == pytest.approx([1000.0, 40.0, 40.0, 40.0, 700.0])
    stopped = told(
        market(instrument(rows)), {1: 1.0}, alter=out, costs=FREE, account=account, exits=Exits(stop_pct=0.05)
    )
    assert filled(stopped, "row", "price", "reason")[-1] == (8, 90.0, "stop")


def test_a_thin_book_widens_the_spread_on_its_rows_alone_and_cuts_what_caps_let_through():
    data = market(instrument(CALM, volume=100.0))
    thin = Scenario(name="thin", what="", spread=10.0, volume=0.1, lasts=4 * HOUR)
    costs = wfbt.Costs(
        maker_bps=0.0, taker_bps=0.0, half_spread_bps=1.0, impact=None, participation=Participation(order=0.05)
    )

    def alter(deck):
        return thinned(deck, thin, 5 * HOUR)

    ledger = told(data, {1: 0.2, 5: 0.3}, alter=alter, costs=costs, account=Account(cash=1000.0))
    fills = filled(ledger, "row", "qty", "price")
    assert fills[0] == (2, pytest.approx(2.0), pytest.approx(100.01))
    # One unit more: 5 % of a tenth of 100 units on each row, at ten times the spread.
    assert fills[1:] == [
        (row, pytest.approx(size, abs=2e-3), pytest.approx(100.1)) for row, size in [(6, 0.5), (7, 0.5)]
    ]


def test_a_policy_sees_thin_volume_and_stale_bars_for_as_long_as_they_last():
    rows = [100.0 + i for i in range(12)]
    data = market(instrument(rows, volume=100.0))
    thin = seen(data, Scenario(name="", what="", volume=0.1, lasts=2 * HOUR), 5 * HOUR).instruments[0].bars
    assert thin.volume[4:8].tolist() == [100.0, 10.0, 10.0, 100.0]
    late = seen(data, Scenario(name="", what="", stale=3, lasts=2 * HOUR), 5 * HOUR).instruments[0].bars
    assert late.close[4:8].tolist() == [104.0, 102.0, 103.0, 107.0]


def test_an_order_that_fails_waits_for_its_retries_and_none_is_early():
    base = wfbt.Latency.uniform(1e8, 5e8)
    failing = Failing.of(base, 0.2, 30_000_000_000)
    ts = np.arange(20_000) * HOUR
    tries = failing.tries(3, "X", ts)
    assert np.array_equal(failing.delays(3, "X", ts), base.delays(3, "X", ts) + 30_000_000_000 * tries)
    assert tries.mean() == pytest.approx(0.25, abs=0.02)  # p / (1 - p)
    # Keyed by the decision: of a part of them each is what it was.
    assert np.array_equal(failing.tries(3, "X", ts[500:600]), tries[500:600])


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.99), st.integers(2, 5))
def test_returns_coupled_anew_keep_their_means_and_deviations_and_get_their_correlation(seed, rho, assets):
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((300, assets)) @ rng.standard_normal((assets, assets))
    returns = 0.01 * mixed / mixed.std(axis=0) + 1e-4
    there = coupled(returns, rho)
    assert there.mean(axis=0) == pytest.approx(returns.mean(axis=0), abs=1e-12)
    own = nearest_correlation(np.corrcoef(returns.T))
    if np.linalg.eigvalsh(own)[0] > 1e-4:
        assert there.std(axis=0) == pytest.approx(returns.std(axis=0), rel=1e-6)
        off = np.corrcoef(there.T)[~np.eye(assets, dtype=bool)]
        assert off == pytest.approx(rho, abs=1e-6)


def test_two_symbols_have_the_sign_of_their_correlation_turned():
    rng = np.random.default_rng(1)
    shared = rng.standard_normal(500)
    returns = np.stack([shared + rng.standard_normal(500), shared + rng.standard_normal(500)], axis=1)
    before = np.corrcoef(returns.T)[0, 1]
    assert np.corrcoef(coupled(returns, None).T)[0, 1] == pytest.approx(-before)


@given(st.integers(0, 2**32 - 1))
def test_what_is_projected_is_a_correlation_matrix(seed):
    rng = np.random.default_rng(seed)
    raw = np.clip(rng.uniform(-1, 1, (4, 4)), -1, 1)
    matrix = np.tril(raw, -1) + np.tril(raw, -1).T + np.eye(4)
    sound = nearest_correlation(matrix)
    assert np.diag(sound) == pytest.approx(1.0)
    assert np.linalg.eigvalsh(sound)[0] > -1e-12
    assert np.abs(sound).max() <= 1 + 1e-12


def test_prices_are_their_own_again_after_a_breakdown_and_bars_stay_bars():
    rng = np.random.default_rng(4)
    made = []
    for symbol in "XYZ":
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 100)))
        opens = np.r_[100.0, close[:-1]]
        rows = list(zip(opens, np.maximum(opens, close) * 1.002, np.minimum(opens, close) * 0.998, close, strict=True))
        made.append(instrument(rows, symbol=symbol))
    data = market(*made)
    broken = Scenario(name="", what="", couple="rho", rho=0.95, lasts=60 * HOUR)
    there = priced(data, broken, 20 * HOUR)
    for before, after in zip(data.instruments, there.instruments, strict=True):
        assert after.bars.close[80:] == pytest.approx(before.bars.close[80:])
        assert after.bars.close[:20] == pytest.approx(before.bars.close[:20])
        assert np.abs(after.bars.close[20:79] / before.bars.close[20:79] - 1).max() > 1e-3
    returns = np.diff(np.log(np.stack([one.bars.close[19:80] for one in there.instruments], axis=1)), axis=0)
    assert np.corrcoef(returns.T)[0, 1:] == pytest.approx(0.95, abs=1e-6)
    with pytest.raises(DataError, match="share 11 bars"):
        recoupled(data, 20 * HOUR, 30 * HOUR, 0.95)
