"""Bitcoin held through the crashes that its data hold."""

import pytest

import wfbt

STRATEGY = """
name: held
data:
  start: 2019-09-09
  end: 2023-10-01
  symbols: {{BTCUSDT: {{bars: {data}/bars/BTCUSDT_perp_1h.parquet}}}}
policy: {{rule: buy_hold}}
limits: {{max_drawdown: null, max_daily_loss: null, cooldown: null, max_leverage: {leverage}}}
sizing: {{method: fraction, max_position: {leverage}}}
account: {{cash: 100000, leverage: {leverage}}}
folds: {{count: 2, train: 120d}}
regimes: null
capacity: null
decay: null
monte_carlo: null
report: {{tearsheets: none}}
"""


def stress(data, folder, leverage):
    path = folder / "held.yaml"
    path.write_text(STRATEGY.format(data=data, leverage=leverage))
    return wfbt.run(path, out=folder / "out", report=False).to_dict()["stress"]


def test_a_holder_of_bitcoin_goes_through_the_crashes_as_bitcoin_did(real_data, tmp_path):
    told = stress(real_data, tmp_path, 1)
    crash = told["history"]["episodes"]["march_2020"]
    assert crash["return"] == pytest.approx(crash["benchmark_return"], abs=0.01)
    assert crash["max_drawdown"] == pytest.approx(0.54, abs=0.04)  # from 9,200 to below 4,500 at hourly closes
    assert all(one is not None for one in told["history"]["episodes"].values())
    rows = {one["name"]: one for one in told["scenarios"]}
    assert 0.28 < rows["flash crash, one bar"]["loss"] < 0.5
    assert rows["flash melt-up, one bar"]["reasons"]["loss"] == "the account was never net short"
    assert rows["flash crash, one bar"]["liquidations"] == 0
