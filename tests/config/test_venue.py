"""A venue's file and a file of tiers: what they fill in, and the line that each mistake in them gets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wfbt.config.load import dump_yaml, load_strategy, resolved
from wfbt.config.schema import Strategy
from wfbt.config.venue import known

Load = Callable[..., Strategy]
Refusal = Callable[..., str]

MINE = """\
account: {maintenance: 0.01, liquidation_fee_bps: 40}
costs:
  maker_bps: 1
  taker_bps: 4
  fee_tiers: [{volume: 0, maker_bps: 1, taker_bps: 4}, {volume: 1e6, maker_bps: 0, taker_bps: 3}]
symbols:
  BTCUSDT:
    contract: {tick: 0.1, lot: 100, multiplier: 100, inverse: true}
    tiers: [{up_to: 5, maintenance: 0.004}, {maintenance: 0.1}]
"""
LADDER = ((0.0, 1.0, 4.0), (1e6, 0.0, 3.0))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    return path


def ladder(strategy: Strategy) -> tuple[tuple[float, float, float], ...]:
    return tuple((one.volume, one.maker_bps, one.taker_bps) for one in strategy.costs.fee_tiers)


def test_a_venue_fills_in_what_the_strategy_leaves_out(load: Load, mine: Path) -> None:
    strategy = load("venue: mine.yaml")
    assert (strategy.account.maintenance, strategy.account.liquidation_fee_bps) == (0.01, 40)
    assert ladder(strategy) == LADDER
    own = strategy.data.symbols["BTCUSDT"]
    assert own.contract.inverse
    assert own.tiers is not None
    assert [one.up_to for one in own.tiers] == [5, None]
    assert strategy.data.symbols["BRK.B"] == load().data.symbols["BRK.B"]  # unknown to the venue


def test_a_contract_is_filled_in_key_by_key(load: Load, mine: Path) -> None:
    """Another tick does not make an inverse contract of 100 a linear one of 1."""
    contract = load("venue: mine.yaml", ("data.symbols.BTCUSDT.contract.tick=0.5",)).data.symbols["BTCUSDT"].contract
    assert (contract.tick, contract.lot, contract.multiplier, contract.inverse) == (0.5, 100, 100, True)


def test_a_fee_that_the_strategy_names_is_not_undone_by_the_venues_ladder(load: Load, mine: Path) -> None:
    costs = load("venue: mine.yaml\ncosts: {taker_bps: 9}").costs
    assert (costs.maker_bps, costs.taker_bps, costs.fee_tiers) == (1, 9, ())


def test_a_margin_that_the_strategy_names_is_not_undone_by_the_venues_tiers(load: Load, mine: Path) -> None:
    strategy = load("venue: mine.yaml\naccount: {maintenance: 0.2}")
    assert strategy.account.maintenance == 0.2
    assert strategy.data.symbols["BTCUSDT"].tiers is None


def test_tiers_come_from_the_symbol_then_from_the_file_of_tiers_then_from_the_venue(
    load: Load, mine: Path, tmp_path: Path
) -> None:
    (tmp_path / "tiers.yaml").write_text("BTCUSDT: [{maintenance: 0.2}]\nBRK.B: [{maintenance: 0.3}]\n")

    def rates(*overrides: str) -> list[float | None]:
        symbols = load("venue: mine.yaml", overrides).data.symbols.values()
        return [one.tiers[0].maintenance if one.tiers else None for one in symbols]

    assert rates() == [None, 0.004]
    assert rates("account.tiers=tiers.yaml") == [0.3, 0.2]
    assert rates("account.tiers=tiers.yaml", "data.symbols.BTCUSDT.tiers=[{maintenance: 0.4}]") == [0.3, 0.4]
    assert rates("account.tiers=tiers.yaml", "account.maintenance=0.05") == [0.3, 0.2]


def test_the_venues_that_come_with_wfbt_charge_what_was_announced_and_nothing_that_was_not(load: Load) -> None:
    linear, inverse = load("venue: binance-usdm"), load("venue: binance-coinm")
    assert ladder(linear) == ((0.0, 2.0, 5.0), (15e6, 1.6, 4.0))
    assert linear.account.liquidation_fee_bps == 125
    assert (inverse.costs.maker_bps, inverse.costs.taker_bps, inverse.costs.fee_tiers) == (1.5, 4.0, ())
    assert inverse.account == load().account  # the venue's liquidation fee is not known


@pytest.mark.parametrize("name", known())
def test_the_venues_that_come_with_wfbt_load_and_spell_themselves_out(name: str, load: Load, tmp_path: Path) -> None:
    strategy = load(f"venue: {name}")
    again = tmp_path / "again.yaml"
    again.write_text(dump_yaml(resolved(strategy)))
    assert load_strategy(again) == strategy


def test_a_fee_set_from_outside_is_never_without_effect(load: Load, refusal: Refusal) -> None:
    tiers = "costs: {fee_tiers: [{volume: 0, maker_bps: 1, taker_bps: 2}]}"
    assert refusal(tiers, ("costs.taker_bps=3",)) == (
        "strategy.yaml: costs.taker_bps changes nothing beside costs.fee_tiers; set costs.fee_tiers=[] too "
        "(--set costs.taker_bps)"
    )
    assert load(tiers, ("costs.taker_bps=3", "costs.fee_tiers=[]")).costs.taker_bps == 3


VENUES = {
    "": "mine.yaml: must be a mapping of keys to values (venue of strategy.yaml, line 4)",
    "[1]": "mine.yaml: must be a mapping of keys to values (venue of strategy.yaml, line 4)",
    "acount: {}": "mine.yaml: unknown key acount; did you mean account? (line 1)",
    "account: {leverage: 5}": "mine.yaml: unknown key account.leverage (line 1)",
    "account:": "mine.yaml: account must be a mapping of keys to values, was null (line 1)",
    "venue: mine.yaml": "mine.yaml: unknown key venue (line 1)",
    "costs: {taker_bps: -1}": "mine.yaml: costs.taker_bps must be >= 0, was -1 (line 1)",
    "costs:\n  fee_tiers:\n  - {volume: 5, maker_bps: 1, taker_bps: 2}": (
        "mine.yaml: costs.fee_tiers must begin at volume 0 (line 2)"
    ),
    "symbols: {X: 5}": "mine.yaml: symbols.X must be a mapping of keys to values, was the number 5 (line 1)",
    "symbols:\n  X:\n    contract: {tik: 1}": (
        "mine.yaml: unknown key symbols.X.contract.tik; did you mean tick? (line 3)"
    ),
    "symbols: {X: {tiers: [{up_to: 5, maintenance: 0.2}, {maintenance: 0.1}]}}": (
        "mine.yaml: symbols.X.tiers must not ask for less maintenance of more notional (line 1)"
    ),
    "costs: &c {taker_bps: 1}": (
        "mine.yaml: line 1 uses an anchor or alias (& or *); write the value out, in quotes if it is text "
        "(venue of strategy.yaml, line 4)"
    ),
    "# " + "x" * 1_000_000: ("mine.yaml: must be at most 1000000 bytes long (venue of strategy.yaml, line 4)"),
}
TIERS = {
    "- 1": "mine.yaml: must be a mapping of keys to values (account.tiers of strategy.yaml, line 4)",
    "symbol,up_to,maintenance": (
        "mine.yaml: must be a mapping of keys to values (account.tiers of strategy.yaml, line 4)"
    ),
    "BTCUSDT: 5": "mine.yaml: BTCUSDT must be a list, was the number 5 (line 1)",
    "BTCUSDT: []": "mine.yaml: BTCUSDT must have at least 1 entry, was [] (line 1)",
    "X:\n- {maintenance: 1.1}": (
        "mine.yaml: X[0].maintenance must be < 1 (a fraction: 0.05 means 5%), was 1.1 (line 2)"
    ),
}


@pytest.mark.parametrize("text", VENUES, ids=lambda text: text[:40])
def test_a_mistake_in_a_venue_is_told_of_the_venues_file(text: str, refusal: Refusal, mine: Path) -> None:
    mine.write_text(text)
    assert refusal("venue: mine.yaml") == VENUES[text]


@pytest.mark.parametrize("text", TIERS, ids=lambda text: text[:40])
def test_a_mistake_in_a_file_of_tiers_is_told_of_that_file(text: str, refusal: Refusal, mine: Path) -> None:
    mine.write_text(text)
    assert refusal("account: {tiers: mine.yaml}") == TIERS[text]


@pytest.mark.parametrize(
    ("key", "text"), [("venue", "venue: none.yaml"), ("account.tiers", "account: {tiers: n.yaml}")]
)
def test_a_file_that_is_not_there_is_told_with_what_names_it(key: str, text: str, refusal: Refusal) -> None:
    name = text.rpartition(" ")[2].rstrip("}")
    assert refusal(text) == f"{name}: no such file ({key} of strategy.yaml, line 4)"
    assert refusal("", (f"{key}={name}",)) == f"{name}: no such file ({key} of strategy.yaml, --set {key})"
