"""Every cap and every limit of a portfolio: what it leaves, worked out by hand, and that it changes the account."""

from dataclasses import replace

import numpy as np
import pytest

import wfbt
from tests.engine.stage import FREE, filled, instrument, market, said
from wfbt.data.market import DAY, HOUR
from wfbt.engine.setup import Setup
from wfbt.kernels.abi import Bound

# By hand: 100,000 of cash, leverage 3, every price 100 at the decision, so that a target of 1 is 1,000 units.

ACCOUNT = wfbt.Account(leverage=3)
NAMES = tuple(bound.name.lower() for bound in Bound)


def still(rows, *names, **known):
    return market(*(instrument([100.0] * rows, symbol=name, **known) for name in names))


def goals(ledger):
    return {ledger.symbols[order["asset"]]: order["goal"] for order in ledger.orders}


def limited(data, targets, exposure, costs=FREE, **parts):
    ledger = wfbt.backtest(
        data, targets, costs=costs, account=ACCOUNT, limits=wfbt.Limits(exposure=exposure), **parts
    )  # fmt: skip
    ledger.reconcile()
    return ledger


def speak(rows, at, **targets):
    return {
        name: said(rows, {at: spoken if isinstance(spoken, dict) else {"target": spoken}})
        for name, spoken in targets.items()
    }


@pytest.mark.parametrize(
    ("name", "more", "targets", "left"),
    [
        # 1,000 + 500 = 1.5 · 100,000 / 100.
        ("gross", {"gross": wfbt.Cap(1.5)}, {"A": 1.0, "B": -1.0}, {"A": 1_000, "B": -500}),
        # 300, then −600: 300 − 600 = −300.
        ("net", {"net": wfbt.Cap(0.3)}, {"A": 1.0, "B": -1.0}, {"A": 300, "B": -600}),
        ("asset", {"asset": wfbt.Cap(0.4)}, {"A": 1.0, "B": 0.2}, {"A": 400, "B": 200}),
        # A quarter of leverage 3; a quarter of what gross allows.
        ("concentration", {"concentration": wfbt.Cap(0.25)}, {"A": 1.0, "B": 0.0}, {"A": 750}),
        (
            "concentration",
            {"concentration": wfbt.Cap(0.25), "gross": wfbt.Cap(2.0)},
            {"A": 1.0, "B": 0.0},
            {"A": 500},
        ),
        # 1,000 units with a stop 5 away lose 5,000; 2,000 are 400 units.
        ("stops", {"stops": wfbt.Cap(0.02)}, {"A": {"target": 1.0, "stop": 5.0}, "B": 0.0}, {"A": 400}),
        # A position without a stop counts whole: 2,000 are 20 units.
        ("stops", {"stops": wfbt.Cap(0.02)}, {"A": 1.0, "B": 0.0}, {"A": 20}),
    ],
)
def test_a_limit_cuts_an_order_to_what_passes(name, more, targets, left):
    ledger = limited(still(4, "A", "B"), speak(4, 0, **targets), wfbt.Exposure(**more))
    found = goals(ledger)
    assert found == {symbol: pytest.approx(goal, rel=1e-9) for symbol, goal in left.items()}
    assert set(ledger.events_frame()["limit"]) == {name}
    assert (ledger.events["value"] > ledger.events["most"]).all()
    assert {k: v for k, v in found.items() if v} == {
        symbol: pytest.approx(held) for symbol, held in zip(ledger.symbols, ledger.position[-1], strict=True) if held
    }


def test_a_position_is_no_larger_than_can_be_left_in_so_many_days():
    # 100 an hour are 2,400 a day, of which 5% are 120: two days are 240 units, reached at 5 an hour.
    costs = wfbt.Costs(
        maker_bps=0,
        taker_bps=0,
        half_spread_bps=0,
        impact=None,
        participation=wfbt.Participation(order=0.05, hour=None),
    )
    ledger = limited(still(100, "A", volume=100.0), said(100, {40: 1.0}), wfbt.Exposure(liquidity=wfbt.Cap(2.0)), costs)
    assert goals(ledger) == {"A": pytest.approx(240, rel=1e-9)}
    assert ledger.fills["qty"].tolist() == pytest.approx([5.0] * 48)
    assert ledger.events_frame()["limit"].tolist() == ["liquidity"]


def test_a_symbol_is_traded_less_in_proportion_to_how_far_its_volatility_is_above_the_most():
    closes = 100 + np.arange(200) % 2
    sigma = np.std(closes[111:141] / closes[110:140] - 1, ddof=1) * np.sqrt(24 * 365)
    data = market(instrument([float(c) for c in closes], symbol="A"))
    ledger = limited(data, said(200, {140: 1.0}), wfbt.Exposure(volatility=wfbt.Cap(sigma / 4)))
    assert goals(ledger) == {"A": pytest.approx(250, rel=1e-9)}
    (event,) = ledger.events_frame().itertuples()
    assert (event.limit, event.value, event.most) == (
        "volatility",
        pytest.approx(sigma, rel=1e-9),
        pytest.approx(sigma / 4),
    )


def days_of(returns, symbol="A", last=100.0):
    """Daily bars with these returns that end at `last`."""
    closes = np.cumprod(np.r_[1.0, 1 + np.asarray(returns)])
    return instrument([float(c) for c in closes * last / closes[-1]], symbol=symbol, period=DAY)


def worst_days():
    """Forty days, the first of unknown return: losses of 10% and 6%, else a tenth of a percent either way."""
    returns = 0.001 * (-1.0) ** np.arange(39)
    returns[7], returns[21] = -0.10, -0.06
    return returns


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("var", 0.06),  # of the worst 5% of 40 days the lesser
        ("cvar", 0.08),  # their mean
    ],
)
def test_the_worst_days_of_the_last_ones_bound_what_is_held(name, loss):
    longer = market(days_of(np.r_[worst_days(), 0.0, 0.0]))
    ledger = limited(longer, said(42, {39: 1.0}), wfbt.Exposure(**{name: wfbt.Cap(loss / 2)}))
    assert goals(ledger) == {"A": pytest.approx(500, rel=1e-9)}
    assert ledger.events["value"][0] == pytest.approx(loss * 100_000, rel=1e-9)
    # The days that were worst for a holder were best for a seller, whose worst lost a tenth of a percent.
    short = limited(longer, said(42, {39: -1.0}), wfbt.Exposure(**{name: wfbt.Cap(loss / 2)}))
    assert goals(short) == {"A": pytest.approx(-1_000)}


def test_symbols_that_move_together_share_one_allowance_and_others_do_not():
    rng = np.random.default_rng(5)
    common, other = np.r_[rng.normal(0, 0.02, 49), 0, 0], np.r_[rng.normal(0, 0.02, 49), 0, 0]
    data = market(days_of(common, "A"), days_of(common, "B"), days_of(other, "C"), days_of(-common, "D"))
    exposure = wfbt.Exposure(correlated=wfbt.Cap(1.2), correlated_at=0.7)
    assert abs(np.corrcoef(common[:49], other[:49])[0, 1]) < 0.7
    ledger = limited(data, speak(52, 49, A=0.8, B=0.8, C=0.5, D=0.5), exposure)
    # A and B together 1.2; D moves against A and B when bought, but with them when sold.
    assert goals(ledger) == {name: pytest.approx(goal) for name, goal in zip("ABCD", (800, 400, 500, 500), strict=True)}
    sold = limited(data, speak(52, 49, A=0.8, B=0.0, C=0.0, D=-0.8), exposure)
    assert goals(sold) == {"A": pytest.approx(800), "D": pytest.approx(-400)}


def test_a_refused_target_waits_until_it_passes():
    exposure = wfbt.Exposure(gross=wfbt.Cap(1.5, "refuse"))
    targets = {"A": said(8, {0: 1.0, 4: 0.2}), "B": said(8, {0: 1.0})}
    ledger = limited(still(8, "A", "B"), targets, exposure)
    # B has to wait until A is smaller: both are decided on row 4.
    assert filled(ledger, "symbol", "row", "qty") == [("A", 1, 1_000), ("A", 5, -800), ("B", 5, 1_000)]
    assert ledger.events_frame()[["symbol", "limit", "act"]].to_numpy().tolist() == [["B", "gross", "refuse"]]


def test_a_limit_that_flattens_closes_everything_and_what_is_allowed_may_come_back():
    exposure = wfbt.Exposure(gross=wfbt.Cap(1.5, "flatten"))
    targets = {"A": said(8, {0: 1.0, 4: 0.5}), "B": said(8, {2: 1.0})}
    ledger = limited(still(8, "A", "B"), targets, exposure)
    assert filled(ledger, "symbol", "row", "qty", "reason") == [
        ("A", 1, 1_000, "target"),
        ("A", 3, -1_000, "breaker"),
        ("A", 5, 500, "target"),
    ]


def test_an_order_that_makes_a_position_smaller_passes_every_limit():
    every = wfbt.Exposure(**dict.fromkeys(("gross", "net", "asset", "stops"), wfbt.Cap(0.1, "refuse")))
    rows = [100, 100, 100, 100, 100]
    free = wfbt.backtest(market(instrument(rows, symbol="A")), said(5, {0: 0.1}), costs=FREE)
    assert len(free.fills) == 1
    # Bought at 100 with a stop 50 away; the price has doubled when half is sold.
    data = market(instrument([100, 100, 200, 200, 200], symbol="A"))
    targets = said(5, {0: {"target": 0.1, "stop": 50.0}, 2: {"target": 0.09}})
    ledger = limited(data, targets, every)
    assert len(ledger.events) == 0 and len(ledger.fills) == 2


# On a market of three symbols that moves: each cap and each limit binds, and the account without it is another.


def wandering(days=80):
    rng = np.random.default_rng(11)
    rows = 24 * days
    common = rng.normal(0, 0.008, rows)
    made = []
    for k, name in enumerate(("A", "B", "C")):
        steps = np.cumsum(common * (1, 1, 0)[k] + rng.normal(0, 0.004, rows))
        close = 100 * np.exp(steps)
        opens = np.r_[100.0, close[:-1]]
        wide = 1 + rng.uniform(0, 0.004, (2, rows))
        bars = list(
            zip(opens, np.maximum(opens, close) * wide[0], np.minimum(opens, close) / wide[1], close, strict=True)
        )
        made.append(instrument(bars, symbol=name, volume=rng.uniform(500, 4_000, rows), tick=0.01, lot=0.01))
    return market(*made)


@pytest.fixture(scope="module")
def moving():
    data = wandering()
    rows = len(data.instruments[0].bars)
    rng = np.random.default_rng(12)
    targets = {}
    for name in data.symbols:
        spoken = {int(at): float(rng.choice([-1.2, -0.6, 0.0, 0.6, 1.2])) for at in range(40 * 24, rows - 1, 29)}
        targets[name] = said(rows, spoken)
        targets[name]["stop"] = 3.0
    return data, targets


BASE = Setup(costs=wfbt.Costs(participation=wfbt.Participation(order=1.0, hour=1.0)), account=wfbt.Account(leverage=5))
MOST = {
    "gross": 1.5,
    "net": 0.8,
    "asset": 0.7,
    "concentration": 0.15,
    "correlated": 1.2,
    "var": 0.03,
    "cvar": 0.04,
    "liquidity": 0.01,
    "stops": 0.04,
    "volatility": 0.5,
}


@pytest.mark.parametrize("act", ["cap", "refuse", "flatten"])
@pytest.mark.parametrize("name", NAMES)
def test_each_limit_acts_in_each_of_its_ways_and_the_account_without_it_is_another(moving, name, act):
    data, targets = moving
    free = wfbt.backtest(data, targets, costs=BASE.costs, account=BASE.account)
    exposure = wfbt.Exposure(**{name: wfbt.Cap(MOST[name], act)}, window=60)
    ledger = wfbt.backtest(
        data, targets, costs=BASE.costs, account=BASE.account, limits=wfbt.Limits(exposure=exposure)
    )  # fmt: skip
    ledger.reconcile()
    events = ledger.events_frame()
    assert set(events["limit"]) == {name} and set(events["act"]) == {act}
    assert (events["value"] > events["most"]).all()
    assert ledger.fills.tobytes() != free.fills.tobytes()
    assert np.abs(ledger.position).sum() < np.abs(free.position).sum()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        (
            "participation.order",
            {"costs": replace(BASE.costs, participation=wfbt.Participation(order=0.05, hour=None))},
        ),
        ("participation.hour", {"costs": replace(BASE.costs, participation=wfbt.Participation(order=None, hour=0.05))}),
        ("leverage", {"account": wfbt.Account(leverage=1)}),
        ("max_leverage", {"limits": wfbt.Limits(max_leverage=1)}),
        ("max_position", {"sizing": wfbt.Sizing(max_position=0.3)}),
        ("max_daily_loss", {"limits": wfbt.Limits(max_daily_loss=0.02)}),
        ("max_drawdown", {"limits": wfbt.Limits(max_drawdown=0.05)}),
        ("cooldown", {"limits": wfbt.Limits(losses=2, cool_down=72 * HOUR)}),
        ("min_interval", {"orders": wfbt.Orders(min_interval=40 * HOUR, max_open=10)}),
    ],
)
def test_each_cap_binds_and_the_account_without_it_is_another(moving, name, part):
    data, targets = moving
    given = {"costs": BASE.costs, "account": BASE.account}
    free = wfbt.backtest(data, targets, **given)
    ledger = wfbt.backtest(data, targets, **(given | part))
    ledger.reconcile()
    assert ledger.fills.tobytes() != free.fills.tobytes()
    if name.startswith("participation"):
        asset, row = ledger.fills["asset"], ledger.fill_rows
        volume = np.stack([one.bars.volume for one in data.instruments], axis=1)
        taken = np.zeros(volume.shape)
        np.add.at(taken, (row, asset), np.abs(ledger.fills["qty"]))
        # Of an order; of the hour, which is the bar.
        most = np.abs(ledger.fills["qty"]) / volume[row, asset] if "order" in name else taken / volume
        assert most.max() <= 0.05 * (1 + 1e-9)
        assert most.max() > 0.0499
    elif name == "max_position":
        assert np.abs(ledger.orders["goal"] * ledger.orders["arrival"]).max() <= 0.3 * ledger.equity.max()
    elif "leverage" in name:
        assert (ledger.orders_frame()["outcome"] == "cut").any()
        assert ledger.gross_exposure.max() < free.gross_exposure.max()
    elif name in ("max_daily_loss", "max_drawdown"):
        assert ledger.breakers > 0 and (ledger.fills_frame()["reason"] == "breaker").any()
    else:
        assert len(ledger.fills) < len(free.fills)


# Symbols that come, go and pause.


def test_a_symbol_that_ends_early_is_closed_at_its_last_price():
    costs = wfbt.Costs(maker_bps=0, taker_bps=10, half_spread_bps=0, impact=None)
    data = market(instrument([100] * 8, symbol="A"), instrument([100, 100, 110, 120], symbol="B"))
    ledger = wfbt.backtest(data, speak(8, 0, A=0.5) | {"B": said(4, {0: 0.5})}, costs=costs, account=ACCOUNT)
    assert filled(ledger, "symbol", "row", "qty", "price", "reason") == [
        ("A", 1, 500, 100, "target"),
        ("B", 1, 500, 100, "target"),
        ("B", 3, -500, 120, "delisted"),
    ]
    assert ledger.fills["fee"][-1] == pytest.approx(500 * 120 * 1e-3)
    assert ledger.position[3:, 1].tolist() == [0] * 5
    assert ledger.equity[-1] == pytest.approx(100_000 + 10_000 - 50 - 50 - 60)
    ledger.reconcile()


def test_an_order_on_its_way_when_a_symbol_ends_is_cancelled():
    data = market(instrument([100] * 8, symbol="A"), instrument([100] * 4, symbol="B"))
    targets = speak(8, 0, A=0.5) | {"B": said(4, {2: {"target": 0.5, "limit": 90.0}})}
    ledger = wfbt.backtest(data, targets, costs=FREE)
    assert ledger.orders_frame()[["symbol", "outcome"]].to_numpy().tolist() == [["A", "filled"], ["B", "cancelled"]]


def test_a_symbol_listed_later_joins_when_it_is_listed():
    data = market(instrument([100] * 8, symbol="A"), instrument([None] * 4 + [50, 50, 60, 60], symbol="B"))
    ledger = wfbt.backtest(data, {"A": said(8, {0: 0.5}), "B": said(4, {0: 0.5})}, costs=FREE)
    assert filled(ledger, "symbol", "row", "qty", "price") == [("A", 1, 500, 100), ("B", 5, 1_000, 50)]
    assert np.isnan(ledger.mark[:4, 1]).all()
    assert ledger.equity[-1] == 110_000


def test_an_order_for_a_symbol_that_pauses_fills_at_the_open_with_which_it_comes_back():
    data = market(instrument([100] * 7, symbol="A"), instrument([100, 100, None, None, 130, 130, 130], symbol="B"))
    ledger = wfbt.backtest(data, speak(7, 0, A=0.5) | {"B": said(5, {1: 0.5})}, costs=FREE)
    assert filled(ledger, "symbol", "row", "price") == [("A", 1, 100), ("B", 4, 130)]
    assert ledger.fills["ts"][1] == 4 * HOUR
    # While it pauses its mark stands.
    assert ledger.mark[:, 1].tolist() == [100, 100, 100, 100, 130, 130, 130]


def test_a_stop_cannot_fill_while_its_symbol_pauses():
    data = market(instrument([100] * 6, symbol="A"), instrument([100, 100, None, 80, 80, 80], symbol="B"))
    targets = {"A": said(6, {0: 0.1}), "B": said(5, {0: {"target": 0.5, "stop": 10.0}})}
    ledger = wfbt.backtest(data, targets, costs=FREE)
    assert filled(ledger, "symbol", "row", "price", "reason")[2:] == [("B", 3, 80, "stop")]
