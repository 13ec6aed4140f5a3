"""Markets that never were, and the ticks that they are traded in."""

from dataclasses import replace

import pytest

from tests.runs import write_study
from wfbt.assembly import read_market
from wfbt.config.load import load_strategy
from wfbt.engine.tape import lay_out
from wfbt.errors import DataError
from wfbt.setups import setup_of
from wfbt.validation.again import borne


def fallen(market, share):
    (one,) = market.instruments
    prices = {name: getattr(one.bars, name) * share for name in ("open", "high", "low", "close")}
    return replace(market, instruments=(replace(one, bars=replace(one.bars, **prices), mark=None),))


def test_a_price_that_collapsed_is_traded_in_finer_ticks_and_any_other_in_its_own(tmp_path):
    config = load_strategy(write_study(tmp_path))
    market = read_market(config)
    setup = setup_of(config, market.period)
    assert borne(market) is market
    low = fallen(market, 1e-4)
    with pytest.raises(DataError, match=r"contract\.tick"):
        lay_out(low, setup, 0)
    (one,) = borne(low).instruments
    least = one.bars.low.min()
    assert least / 100 < one.contract.tick <= least / 10
    lay_out(borne(low), setup, 0)
