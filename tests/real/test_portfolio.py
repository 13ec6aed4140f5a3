"""Bitcoin, ether and gold in one account over four years of hours, solana joining on the way, with every cap on."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import wfbt

pytestmark = pytest.mark.slow

JOINS = pd.Timestamp("2024-01-01", tz="UTC")
STRATEGY = """
name: gold-and-coins
seed: 3
data:
  start: 2021-07-01
  end: 2025-07-01
  symbols:
    BTCUSDT:
      bars: {data}/bars/BTCUSDT_perp_1h.parquet
      funding: {data}/funding/BTCUSDT_perp_funding.parquet
      mark: {data}/mark/BTCUSDT_perp_mark_1h.parquet
      impact: 0.05
    ETHUSDT:
      bars: {data}/bars/ETHUSDT_perp_1h.parquet
      funding: {data}/funding/ETHUSDT_perp_funding.parquet
      mark: {data}/mark/ETHUSDT_perp_mark_1h.parquet
      impact: 0.08
    SOLUSDT:
      bars: {own}/sol.parquet
      funding: {data}/funding/SOLUSDT_perp_funding.parquet
      contract: {{tick: 0.001, lot: 1}}
      impact: 0.15
    # Ticks of a broker's quotes are no volume; what one dealer's clients may trade in ounces a day is.
    XAUUSD:
      bars: {data}/bars/XAUUSD_1h.parquet
      contract: {{tick: 0.01, lot: 1}}
      volume: none
      adv: 100_000
      impact: 0.03
      tiers: [{{up_to: 5_000_000, maintenance: 0.01}}, {{maintenance: 0.05}}]
venue: binance-usdm
account: {{cash: 100_000_000, leverage: 3, maintenance: 0.02}}
costs: {{participation: {{order: 0.05, hour: 0.1}}}}
orders: {{min_interval: 30s, max_open: 3}}
policy: {{rule: sma_cross, params: {{slow: 192}}, search: {{fast: [24, 48]}}}}
sizing: {{method: volatility, goal: 0.6, max_position: 1.0, scale: {{correlation: true}}}}
exits: {{atr: 24, stop_atr: 6, trail_atr: 8, trail_follow: true, ratchet: {{after: 3, keep: 0.5}}}}
limits:
  max_daily_loss: 0.06
  max_drawdown: 0.6
  gross: 1.0
  net: 0.7
  asset: 0.35
  correlated: {{most: 0.5, threshold: 0.6}}
  cvar: {{most: 0.02, act: refuse}}
  liquidity: 1.0
  max_volatility: 0.9
folds: {{count: 12, train: 365d}}
robustness: null
monte_carlo: {{replays: 30}}
report: {{tearsheets: none}}
"""


@pytest.fixture(scope="module")
def done(real_data, tmp_path_factory):
    own = tmp_path_factory.mktemp("own")
    sol = pq.read_table(real_data / "bars" / "SOLUSDT_perp_1h.parquet")
    pq.write_table(sol.filter(np.asarray(sol.column("ts").to_pandas() >= JOINS)), own / "sol.parquet")
    path = own / "portfolio.yaml"
    path.write_text(STRATEGY.format(data=real_data, own=own))
    return wfbt.run(path, out=own / "reports", report=False)


def test_four_years_of_hours_of_four_symbols_are_walked_in_twelve_folds_and_add_up(done):
    assert len(done.folds) == 12
    ledger = done.ledger
    assert ledger.reconcile().fills > 1_000
    assert set(np.unique(ledger.fills["asset"])) == {0, 1, 2, 3}
    assert len(ledger.payments) > 1_000
    told = json.loads((done.folder / "result.json").read_text())
    assert told["oos"]["trades"] == len(ledger.trades().query("not open"))


def test_solana_joins_when_it_is_listed(done):
    ledger = done.ledger
    sol = ledger.symbols.index("SOLUSDT")
    listed = JOINS.value
    assert not ledger.position[ledger.ts <= listed, sol].any()
    assert np.isnan(ledger.mark[ledger.ts <= listed, sol]).all()
    assert ledger.position[ledger.ts > listed, sol].any()


def test_no_fill_takes_more_of_the_volume_than_is_allowed_and_the_cap_binds(done, real_data):
    ledger = done.ledger
    coins = {"BTCUSDT": "BTCUSDT_perp_1h", "ETHUSDT": "ETHUSDT_perp_1h", "SOLUSDT": "SOLUSDT_perp_1h"}
    bound = {}
    for a, symbol in enumerate(ledger.symbols):
        fills = ledger.fills[ledger.fills["asset"] == a]
        hour = fills["ts"] // 3_600_000_000_000
        if symbol in coins:
            bars = pq.read_table(real_data / "bars" / f"{coins[symbol]}.parquet", columns=["ts", "volume"]).to_pandas()
            volume = bars.set_index("ts")["volume"]
            traded = volume.loc[pd.to_datetime(hour * 3600, unit="s", utc=True)].to_numpy()
        else:
            traded = np.full(len(fills), 100_000 / 24)
        share = np.abs(fills["qty"]) / traded
        _, same = np.unique(hour, return_inverse=True)
        in_hour = np.bincount(same, np.abs(fills["qty"]))[same] / traded
        assert share.max() <= 0.05 * (1 + 1e-9)
        assert in_hour.max() <= 0.10 * (1 + 1e-9)
        bound[symbol] = (share > 0.049).sum()
    # 208 ounces an hour are little for such an account: almost all of its gold is bought in parts.
    assert bound["XAUUSD"] > 100 and bound["SOLUSDT"] > 0


def test_the_limits_act_and_are_kept(done):
    events = done.ledger.events_frame()
    assert set(events["limit"]) == {"gross", "net", "asset", "correlated", "cvar", "liquidity", "volatility"}
    assert (events["value"] > events["most"]).all()
    assert set(events.loc[events["limit"] == "cvar", "act"]) == {"refuse"}


def test_no_order_that_grows_a_position_aims_beyond_the_symbol_s_limit(done):
    ledger, orders = done.ledger, done.ledger.orders
    decided = np.searchsorted(ledger.ts, orders["live"], side="right") - 1
    asset = orders["asset"]
    held = ledger.position[decided, asset]
    grows = (orders["goal"] * held < 0) | (np.abs(orders["goal"]) > np.abs(held))
    share = np.abs(orders["goal"] * ledger.mark[decided, asset]) / ledger.equity[decided]
    assert share[grows].max() <= 0.35 * (1 + 1e-9)
    assert (share[grows] > 0.3499).sum() > 10


def test_without_its_limits_it_is_another_account(done):
    free = wfbt.run(
        done.folder / "config.resolved.yaml",
        out=done.folder.parent / "free",
        report=False,
        overrides=[f"limits.{name}=null" for name in ("gross", "net", "asset", "correlated", "cvar", "liquidity")],
    )
    free.ledger.reconcile()
    assert free.run_id != done.run_id
    assert np.abs(free.ledger.gross_exposure).max() > np.abs(done.ledger.gross_exposure).max()
