"""The same decisions in kinder and in dearer worlds."""

from dataclasses import replace

import numpy as np
import pytest

import wfbt
from wfbt.data.market import HOUR
from wfbt.engine.account import Account, Exits, Limits
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import lay_out
from wfbt.policy.base import Columns
from wfbt.validation.realism import MEASURED, MULTIPLES, STEPS, Decided, break_even, ladder, stopped_apart

ROWS = 24 * 60
COSTS = wfbt.Costs(taker_bps=4.0, maker_bps=1.0, half_spread_bps=1.0)
LATENCY = wfbt.Latency.uniform(1e8, 9e8)
ACCOUNT = Account(cash=10_000.0, leverage=3.0)


def market(drift=0.0, seed=2, noise=0.006, symbols=("X",), funding=True):
    made = []
    for number, symbol in enumerate(symbols):
        rng = np.random.default_rng(seed + number)
        close = 100 * np.exp(np.cumsum(rng.normal(drift, noise, ROWS)))
        opens = np.r_[100.0, close[:-1]]
        bars = wfbt.Bars(
            symbol=symbol,
            period=HOUR,
            open_ts=np.arange(ROWS) * HOUR,
            open=opens,
            high=np.maximum(opens, close) * (1 + rng.uniform(0, 0.003, ROWS)),
            low=np.minimum(opens, close) * (1 - rng.uniform(0, 0.003, ROWS)),
            close=close,
            volume=rng.uniform(500, 5_000, ROWS),
        )
        stamps = np.arange(8, ROWS, 8)
        paid = wfbt.Funding(ts=stamps * HOUR, rate=np.full(len(stamps), 2e-4), mark=np.full(len(stamps), np.nan))
        made.append(wfbt.Instrument(bars=bars, funding=paid if funding else None, impact=0.3 if number else None))
    return wfbt.Market(instruments=tuple(made), digest="")


def swings(data, length=12, size=1.0):
    """Long and flat in turns of `length` bars."""
    return {s: size / len(data.symbols) * (np.arange(ROWS) // length % 2) for s in data.symbols}


def decided(data, targets, costs=COSTS, latency=LATENCY, exits=None, first=0, last=ROWS, **limits):
    exits = exits or Exits(stop_atr=3.0, take_atr=6.0)
    setup = Setup(account=ACCOUNT, costs=costs, latency=latency, exits=exits, limits=Limits(**limits))
    deck = lay_out(data, setup, 5)
    lowering = Lowering(data, deck, setup)
    said = lowering.say({symbol: Columns(target=np.asarray(target, float)) for symbol, target in targets.items()})
    rules = rules_of(setup, deck.horizon)
    return Decided(deck=deck, rules=rules, intents=said.within(first, last).intents(), first=first, last=last)


def test_the_rung_before_the_last_fills_no_more_than_the_volume_gives():
    data = market(symbols=("X",))
    thin = replace(COSTS, participation=wfbt.Participation(order=0.01, hour=None))
    before, capped, last = ladder(decided(data, swings(data), costs=thin))[-3:]
    assert capped.step == "caps"
    assert np.abs(before.ledger.fills["qty"]).max() > np.abs(capped.ledger.fills["qty"]).max()
    np.testing.assert_array_equal(capped.ledger.equity, last.ledger.equity)


def foreseeing(data, length=12):
    """Holds what is about to rise: an edge that costs can eat."""
    close = data.instruments[0].bars.close
    ahead = np.r_[close[length::length], close[-1]]
    return {"X": np.repeat(ahead[: ROWS // length] > close[::length], length).astype(float)}


@pytest.mark.parametrize("symbols", [("X",), ("X", "Y")])
def test_each_rung_is_the_account_of_a_world_laid_out_with_no_more_than_its_costs(symbols):
    data = market(symbols=symbols)
    free = replace(data, instruments=tuple(replace(one, funding=None) for one in data.instruments))
    one_step_less = replace(COSTS, impact=None)
    worlds = {
        "ideal": (free, wfbt.Costs.none(), wfbt.Latency.none(), replace(ACCOUNT, liquidation_fee_bps=0.0)),
        "fees and spread": (free, one_step_less, wfbt.Latency.none(), ACCOUNT),
        "latency": (free, one_step_less, LATENCY, ACCOUNT),
        "impact": (free, COSTS, LATENCY, ACCOUNT),
        "funding": (data, COSTS, LATENCY, ACCOUNT),
        "caps": (data, COSTS, LATENCY, ACCOUNT),
        "as configured": (data, COSTS, LATENCY, ACCOUNT),
    }
    rungs = ladder(decided(data, swings(data)))
    assert [rung.step for rung in rungs] == list(STEPS) == list(worlds)
    for rung, (place, costs, latency, account) in zip(rungs, worlds.values(), strict=True):
        alone = wfbt.backtest(
            place,
            swings(data),
            costs=costs,
            latency=latency,
            account=account,
            exits=Exits(stop_atr=3.0, take_atr=6.0),
            seed=5,
        )
        np.testing.assert_array_equal(rung.ledger.equity, alone.equity, err_msg=rung.step)
        np.testing.assert_array_equal(rung.ledger.fills, alone.fills, err_msg=rung.step)


def test_every_step_of_realism_moves_the_result_and_the_changes_add_up():
    thin = replace(COSTS, participation=wfbt.Participation(order=0.01, hour=None))
    rungs = ladder(decided(market(), swings(market()), costs=thin))
    assert rungs[0].change is None
    moved = [rung.change["total_return"] for rung in rungs[1:]]
    assert all(moved[:-1])
    assert moved[-1] == 0.0  # nothing is configured beyond the caps
    assert rungs[0].metrics["total_return"] + sum(moved) == pytest.approx(rungs[-1].metrics["total_return"], rel=1e-12)


def test_fees_spread_and_impact_take_from_an_account_that_is_long_and_so_does_funding():
    change = {rung.step: rung.change for rung in ladder(decided(market(), swings(market())))[1:]}
    for step in ("fees and spread", "impact", "funding"):
        assert change[step]["total_return"] < 0


def test_a_rung_covers_the_decided_bars_alone():
    rungs = ladder(decided(market(), swings(market()), first=500, last=1200))
    assert {len(rung.ledger.ts) for rung in rungs} == {700}
    assert {rung.ledger.opening_equity for rung in rungs} == {10_000.0}


def test_too_few_days_leave_a_rung_without_a_sharpe_and_the_next_without_its_change():
    for rung in ladder(decided(market(), swings(market()), first=0, last=24 * 20)):
        assert rung.metrics["sharpe"] is None
        assert "20 days" in rung.metrics["reasons"]["sharpe"]
        assert rung.change is None or rung.change["sharpe"] is None
        assert set(rung.metrics) == {*MEASURED, "reasons"}


def total_return_at(setting, factor):
    """Of the same decisions where the venue charges `factor` times as much."""
    data, targets, costs = setting
    return ladder(decided(data, targets, costs.stressed(factor)))[-1].metrics["total_return"]


def test_at_the_break_even_multiple_nothing_is_left():
    data = market(noise=0.004)
    setting = (data, foreseeing(data), COSTS)
    found = break_even(decided(*setting))
    assert 1.0 < found.multiple < 64.0
    assert total_return_at(setting, found.multiple) == pytest.approx(0.0, abs=1e-4)
    assert total_return_at(setting, found.multiple * 0.99) > 0 > total_return_at(setting, found.multiple * 1.01)
    assert found.why_not == ""


def test_the_break_even_in_bps_is_what_was_paid_there_on_what_was_traded():
    data = market(noise=0.004)
    costs = replace(COSTS, maker_bps=4.0, impact=None)
    # Every fill takes: 4 bps of fee and 1 of spread, on prices that the spread has moved by 1 bps at most.
    found = break_even(decided(data, foreseeing(data), costs, exits=Exits()))
    assert found.paid_bps == pytest.approx(5.0, rel=2e-4)
    assert found.bps == pytest.approx(5.0 * found.multiple, rel=1e-2)


def test_trading_costs_a_fraction_of_what_they_are_would_save_a_loser_with_an_edge():
    data = market(noise=0.001)
    found = break_even(decided(data, foreseeing(data, 2), replace(COSTS, taker_bps=30.0)))
    assert 0.0 < found.multiple < 1.0
    assert found.tried[0].total_return > 0 > found.tried[MULTIPLES.index(1.0)].total_return


def test_what_loses_free_of_cost_has_no_break_even():
    data = market(drift=-0.002, funding=False)
    found = break_even(decided(data, swings(data)))
    assert found.multiple is found.bps is None
    assert found.why_not == "it makes nothing even free of fees, spread and impact"
    assert found.paid_bps > 0


def test_what_survives_every_multiple_has_no_break_even():
    data = market(drift=0.004, noise=0.001, funding=False)
    found = break_even(decided(data, {"X": np.ones(ROWS)}, exits=Exits()))
    assert found.multiple is None
    assert found.why_not == "it still makes money at 64 times its trading costs"
    assert found.crossings == 0


def test_an_account_that_never_traded_has_no_break_even():
    found = break_even(decided(market(), {"X": np.zeros(ROWS)}))
    assert (found.multiple, found.paid_bps, found.why_not) == (None, None, "it never traded")


def test_without_a_trading_cost_there_is_nothing_to_multiply():
    found = break_even(decided(market(), swings(market()), wfbt.Costs.none()))
    assert found.why_not == "no trading cost is configured, so there is nothing to multiply"


def test_a_rebate_stays_what_it_is_at_every_multiple():
    data = market(noise=0.004)
    costs = replace(COSTS, maker_bps=-1.0)
    exits = Exits(take_pct=0.004)
    paid = [one.paid / one.traded for one in break_even(decided(data, foreseeing(data), costs, exits=exits)).tried]
    assert paid[0] < 0  # free of cost, the takes still earn it
    assert all(np.diff(paid) > 0)


def test_a_return_that_rises_with_cost_is_told_and_not_hidden():
    # A drawdown breaker that dearer trading trips earlier keeps the account out of a later fall.
    data = market(seed=3, drift=-0.0005, noise=0.006)
    found = break_even(decided(data, swings(data), max_drawdown=0.2))
    returns = [one.total_return for one in found.tried]
    assert not found.monotone
    assert any(np.diff(returns) > 0)


def test_replays_that_a_drawdown_limit_stops_at_different_times_are_said_not_to_compare():
    data = market(noise=0.01)
    dear = decided(data, swings(data), replace(COSTS, taker_bps=30.0), max_drawdown=0.2)
    rungs = ladder(dear)
    for rung in rungs:
        beyond = rung.ledger.ts[rung.ledger.drawdown >= 0.2]
        assert (rung.stop[0] if rung.stop else None) == (beyond[0] if len(beyond) else None)
    assert len({rung.stop for rung in rungs}) > 1
    assert stopped_apart([rung.stop for rung in rungs]) == "the drawdown limit"
    assert stopped_apart(break_even(dear).stops) == "the drawdown limit"
    free = decided(data, swings(data), replace(COSTS, taker_bps=30.0))
    assert stopped_apart([rung.stop for rung in ladder(free)]) == stopped_apart(break_even(free).stops) == ""


def test_a_few_hours_apart_are_one_history_and_a_day_is_two():
    hour, day = HOUR, 24 * HOUR
    limit = "the drawdown limit"
    assert stopped_apart([(day + hour, limit), (2 * day, limit)]) == ""  # a midnight close belongs to the day before
    assert stopped_apart([(day + hour, limit), (2 * day + hour, limit)]) == limit
    assert stopped_apart([(day, limit), None]) == limit
    assert stopped_apart([(day, "an empty account"), None]) == "an empty account"
    assert stopped_apart([]) == stopped_apart([None, None]) == ""


def test_the_last_day_that_changed_equity_is_the_day_a_stopped_replay_came_to_rest():
    data = market(noise=0.01)
    dear = decided(data, swings(data), replace(COSTS, taker_bps=30.0), max_drawdown=0.2)
    configured = next(one for one in break_even(dear).tried if one.multiple == 1.0)
    (reached, _), last = ladder(dear)[-1].stop, configured.stop[0]
    assert 0 <= last - reached <= 24 * HOUR + HOUR
