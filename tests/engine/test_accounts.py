"""Accounts that wait before each decision are those of a backtest that is told the same targets."""

from math import log

import numpy as np
import pytest

import wfbt
from tests.engine.stage import FREE, instrument, market
from wfbt.data.market import DAY, HOUR
from wfbt.engine.accounts import SEEN, Accounts, width
from wfbt.engine.intents import Lowering
from wfbt.engine.setup import Setup, rules_of
from wfbt.engine.tape import lay_out
from wfbt.errors import ConfigError
from wfbt.kernels.abi import Status

WILD = {
    "plain": Setup(costs=wfbt.Costs(), account=wfbt.Account(leverage=3)),
    "late": Setup(latency=wfbt.Latency.uniform(0.5, 4000.0), account=wfbt.Account(leverage=2)),
    "wrecked": Setup(account=wfbt.Account(leverage=20, maintenance=0.02), sizing=wfbt.Sizing(max_position=20.0)),
    "isolated": Setup(account=wfbt.Account(leverage=10, margin="isolated"), sizing=wfbt.Sizing(max_position=10.0)),
    "guarded": Setup(
        exits=wfbt.Exits(stop_atr=1.5, take_atr=2.0, trail_atr=2.0),
        limits=wfbt.Limits(max_daily_loss=0.02, max_drawdown=0.5, losses=2, cool_down=5 * HOUR),
    ),
    "by_risk": Setup(sizing=wfbt.Sizing(method="risk", risk=0.01), exits=wfbt.Exits(stop_atr=2.0)),
    "by_volatility": Setup(sizing=wfbt.Sizing(method="volatility", goal=0.3, band=0.05)),
    "thin": Setup(costs=wfbt.Costs(participation=wfbt.Participation(order=0.01))),
}


def rough(rng, rows, *, symbol, volatility=0.02, missing=0.0, **known):
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, volatility, rows)))
    opening = np.concatenate(([100.0], close[:-1])) * np.exp(rng.normal(0.0, 0.2 * volatility, rows))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0.0, volatility, rows)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0.0, volatility, rows)))
    bars = [None if rng.random() < missing else one for one in zip(opening, high, low, close, strict=True)]
    funding = [(at * 8 * HOUR, float(rng.normal(0.0, 1e-3))) for at in range(1, rows // 8)]
    return instrument(bars, symbol=symbol, volume=1e5, funding=funding, start=0, **known)


def walked(data, setup, wanted, first=0, last=None, seed=3):
    """One waiting account that is told (T, A) `wanted` bar by bar, and its equity at each decision and the end."""
    deck = lay_out(data, setup, seed)
    lowering = Lowering(data, deck, setup)
    last = len(deck.decisions) if last is None else last
    accounts = Accounts(deck, rules_of(setup, deck.horizon), lowering.sheet(), lowering.slices, 1)
    accounts.begin(np.array([0]), np.array([first]), np.array([last]))
    equity = [accounts.equity[0]]
    while accounts.waiting[0]:
        accounts.step(wanted[accounts.bar])
        equity.append(accounts.equity[0])
    return accounts, np.array(equity)


@pytest.mark.parametrize("name", WILD)
@pytest.mark.parametrize("assets", [1, 3])
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_an_account_told_bar_by_bar_is_the_backtest_of_the_same_targets(name, assets, seed):
    rng, setup, rows = np.random.default_rng([seed, assets]), WILD[name], 300
    data = market(*(rough(rng, rows, symbol=f"S{a}", missing=0.03 if assets > 1 else 0.0) for a in range(assets)))
    deck = lay_out(data, setup, 3)
    reach = 15.0 if name == "wrecked" else 8.0 if name == "isolated" else 1.0
    wanted = rng.choice([np.nan, 0.0, 1.0, -1.0, 0.5, -0.3], (len(deck.decisions), assets)) * reach / assets
    parts = {part: getattr(setup, part) for part in ("costs", "latency", "account", "sizing", "exits", "limits")}
    ledger = wfbt.backtest(data, wanted, seed=3, **parts)
    accounts, equity = walked(data, setup, wanted)
    stood = len(equity) - 1
    assert equity[:stood].tobytes() == ledger.equity[:stood].tobytes()
    assert equity[-1] == ledger.equity[-1]
    assert accounts.tallies["fills"][0] == len(ledger.fills) > 10
    if ledger.halted:
        assert accounts.tallies["status"][0] == Status.HALTED
    else:
        assert stood == len(ledger.equity) - 1


def test_wild_accounts_met_funding_liquidations_stops_and_breakers():
    met = set()
    for name, setup in WILD.items():
        rng = np.random.default_rng([1, 1])
        data = market(rough(rng, 300, symbol="S0"))
        wanted = rng.choice([np.nan, 0.0, 1.0, -1.0], (300, 1)) * (15.0 if name == "wrecked" else 1.0)
        accounts, _ = walked(data, setup, wanted)
        tally = accounts.tallies[0]
        met |= {field for field in ("funding", "liquidation", "breakers", "fees") if tally[field] != 0}
    assert met == {"funding", "liquidation", "breakers", "fees"}


def test_many_accounts_are_each_what_they_would_be_alone_and_nothing_is_carried_from_one_episode_to_the_next():
    rng, setup, rows = np.random.default_rng(5), WILD["guarded"], 240
    data = market(rough(rng, rows, symbol="A"), rough(rng, rows, symbol="B"))
    wanted = rng.choice([np.nan, 0.0, 1.0, -1.0], (7, rows, 2)) * 0.5
    deck = lay_out(data, setup, 3)
    lowering = Lowering(data, deck, setup)
    accounts = Accounts(deck, rules_of(setup, deck.horizon), lowering.sheet(), lowering.slices, 7)
    ends = {}
    spans = rng.integers(0, 100, (7, 3)), rng.integers(150, rows, (7, 3))
    episode = np.zeros(7, int)
    every = np.arange(7)
    accounts.begin(every, spans[0][every, 0], spans[1][every, 0])
    while True:
        accounts.step(wanted[every, accounts.bar])
        over = np.flatnonzero(~accounts.waiting & (episode < 3))
        for i in over:
            ends[i, int(episode[i])] = accounts.equity[i]
        episode[over] += 1
        again = over[episode[over] < 3]
        if len(again):
            accounts.begin(again, spans[0][again, episode[again]], spans[1][again, episode[again]])
        if (episode == 3).all():
            break
    for (i, number), equity in ends.items():
        _, alone = walked(data, setup, wanted[i], int(spans[0][i, number]), int(spans[1][i, number]))
        assert equity == alone[-1]


def test_an_account_sees_its_position_its_gain_and_how_long_it_has_held():
    prices = [100.0, 100.0, 110.0, 121.0, 121.0, 121.0]
    data, setup = market(instrument(prices, symbol="A"), instrument([50.0] * 6, symbol="B")), Setup(costs=FREE)
    deck = lay_out(data, setup, 0)
    lowering = Lowering(data, deck, setup)
    accounts = Accounts(deck, rules_of(setup, deck.horizon), lowering.sheet(), 0, 1)
    names = ("position", "target", "unrealised", "holding", "drawdown", "gross", "today")
    assert width(names, 2) == 11
    accounts.begin(np.array([0]), np.array([0]), np.array([6]))
    seen = [SEEN[name] for name in names]
    views = []
    while accounts.waiting[0]:
        views.append(np.zeros((1, 11)))
        accounts.observe(seen, views[-1])
        accounts.step(np.array([[0.5, np.nan]]))
    flat, bought, up, higher = (view[0] for view in views[:4])
    assert flat.tolist() == [0.0] * 11
    # Half of 100,000 bought 500 units at 100: worth 55,000 of 105,000 at 110 and 60,500 of 110,500 at 121.
    assert bought.tolist() == [0.5, 0.5, 0.0, log(2), 0, 0, 0, 0, 0.0, 0.5, 0.0]
    assert up.tolist() == pytest.approx([55 / 105, 0.5, 0.1, log(3), 0, 0, 0, 0, 0.0, 55 / 105, 0.05])
    assert higher.tolist() == pytest.approx([60.5 / 110.5, 0.5, 0.21, log(4), 0, 0, 0, 0, 0.0, 60.5 / 110.5, 0.105])


def test_a_short_gains_when_the_price_falls_and_an_inverse_long_is_long():
    falling = [100.0, 100.0, 80.0, 80.0]
    for inverse, target, weight, gain in ((False, -0.5, -0.5 * 0.8 / 1.1, 0.2), (True, 0.5, None, -0.25)):
        data = market(instrument(falling, symbol="A", inverse=inverse))
        setup = Setup(costs=FREE, account=wfbt.Account(cash=100_000.0 if not inverse else 1_000.0))
        deck = lay_out(data, setup, 0)
        lowering = Lowering(data, deck, setup)
        accounts = Accounts(deck, rules_of(setup, deck.horizon), lowering.sheet(), 0, 1)
        accounts.begin(np.array([0]), np.array([0]), np.array([4]))
        accounts.step(np.array([[target]]))
        accounts.step(np.array([[target]]))
        view = np.zeros((1, 2))
        accounts.observe([SEEN["position"], SEEN["unrealised"]], view)
        assert view[0, 1] == pytest.approx(gain)
        assert np.sign(view[0, 0]) == np.sign(target)
        if weight is not None:
            assert view[0, 0] == pytest.approx(weight)


def test_a_day_begins_at_midnight():
    prices = [100.0] * 24 + [110.0] * 4
    data = market(instrument(prices, symbol="A", start=DAY))
    setup = Setup(costs=FREE)
    deck = lay_out(data, setup, 0)
    accounts = Accounts(deck, rules_of(setup, deck.horizon), Lowering(data, deck, setup).sheet(), 0, 1)
    accounts.begin(np.array([0]), np.array([20]), np.array([28]))
    today = []
    while accounts.waiting[0]:
        view = np.zeros((1, 1))
        accounts.observe([SEEN["today"]], view)
        today.append(view[0, 0])
        accounts.step(np.array([[1.0]]))
    # Bought at 100 before midnight, held through a gap of 10% after it.
    assert today == pytest.approx([0, 0, 0, 0, 0.1, 0.1, 0.1])


@pytest.mark.parametrize(("first", "last"), [(-1, 5), (0, 99), (4, 5)])
def test_a_span_without_a_decision_is_refused(first, last):
    data, setup = market(instrument([100.0] * 6, symbol="A")), Setup()
    deck = lay_out(data, setup, 0)
    accounts = Accounts(deck, rules_of(setup, deck.horizon), Lowering(data, deck, setup).sheet(), 0, 1)
    with pytest.raises(ConfigError, match="2 bars or more of 0 … 6"):
        accounts.begin(np.array([0]), np.array([first]), np.array([last]))
