"""The account's own days in another order, and accounts of other sizes on them."""

import numpy as np
import pytest

from tests.data.parquet import START
from tests.simulation.asking import study_file, walked
from wfbt.data.market import HOUR
from wfbt.kernels.abi import FILL, PAYMENT
from wfbt.ledger.ledger import Ledger
from wfbt.risk.monte_carlo import bootstrap
from wfbt.risk.survival import NEVER, SmallAccount
from wfbt.simulation.resampled import Lived, resampled

SEED = np.random.SeedSequence(3)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    ran, _ = walked(study_file(tmp_path_factory.mktemp("lived"), "plain"))
    return ran.walk.ledger


def again(lived, capitals=(1e4, 1e6), small=None, **given):
    options = {"days": 90, "paths": 400, "seed": SEED, "ruin": 0.3, "jobs": 1} | given
    return resampled(lived, capitals=capitals, small=small or SmallAccount(), **options)


def test_a_day_is_its_return_and_the_most_that_was_held_in_it(ledger):
    lived = Lived.of(ledger)
    assert np.array_equal(lived.returns, ledger.returns_daily().to_numpy())
    days = (ledger.ts - 1) // 86_400_000_000_000
    gross = ledger.gross_exposure
    expected = [gross[days == day].max() for day in np.unique(days)]
    assert np.array_equal(lived.exposure, expected)
    assert lived.exposure.max() > 0.1


def test_resamples_are_those_of_the_bootstrap(ledger):
    lived = Lived.of(ledger)
    one = again(lived).account.outcomes
    two = bootstrap(lived.returns, resamples=400, steps=90, seed=SEED, block=lived.block, ruin=0.3)
    np.testing.assert_allclose(one.final, two.final, rtol=1e-9)
    np.testing.assert_allclose(one.depth, two.depth, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(one.sharpe, two.sharpe, rtol=1e-6)
    assert np.array_equal(one.ruined_at, two.ruined_at)


def test_an_account_that_can_afford_every_order_is_the_strategys_own(ledger):
    found = again(Lived.of(ledger))
    outcomes = found.account.outcomes
    alive = outcomes.ruined_at == NEVER
    for capital, final in zip(found.capitals.capitals, found.capitals.final, strict=True):
        np.testing.assert_allclose(final[alive] / capital, outcomes.final[alive], rtol=1e-9)
    assert np.array_equal(found.capitals.ruined_at[0], outcomes.ruined_at)


def test_an_account_too_small_for_any_order_stays_as_it_is_but_for_fixed_costs(ledger):
    small = SmallAccount(min_order=1e9, fixed_cost=1.0)
    found = again(Lived.of(ledger), small=small)
    lived = Lived.of(ledger)
    assert not found.capitals.made.any() and found.capitals.skipped.all()
    idle = lived.returns[lived.exposure == 0.0]
    most = 1e6 * np.prod(1 + np.maximum(idle, 0.0)) ** 90
    assert (found.capitals.final[1] <= max(most, 1e6) - 89).all()


def test_the_number_of_threads_and_of_paths_changes_no_path(ledger):
    lived = Lived.of(ledger)
    base, many = again(lived, paths=1200), again(lived, paths=1200, jobs=2)
    few = again(lived, paths=700)
    for other, count in ((many, 1200), (few, 700)):
        assert np.array_equal(base.account.fan[:count], other.account.fan)
        assert np.array_equal(base.capitals.final[:, :count], other.capitals.final)


LIMIT = 0.2


def stopped_after(days, rest):
    """A ledger of `days` hourly days in the market that fall beyond LIMIT at their end, and `rest` days without any."""
    rng = np.random.default_rng(4)
    hours = rng.normal(0.0, 0.004, 24 * days)
    hours[-5:] = -0.08
    equity = 1e4 * np.cumprod(1.0 + hours)
    first = int(np.argmax(1.0 - equity / np.maximum.accumulate(np.append(1e4, equity))[1:] >= LIMIT))
    equity[first + 2 :] = equity[first + 1]
    held = np.where(np.arange(24 * days) <= first, 1.0, 0.0)
    equity, held = (np.append(one, np.full(24 * rest, one[-1])) for one in (equity, held))
    fills = np.zeros(2, FILL)
    close_ts = START + HOUR * np.arange(1, len(equity) + 1)
    fills["ts"], fills["qty"] = [close_ts[0] - HOUR, close_ts[first]], [1.0, -1.0]
    fills["price"] = fills["reference"] = 100.0
    return Ledger(
        symbols=("AAA",), ts=close_ts, equity=equity, cash=equity - held * 100.0, position=held[:, None],
        mark=np.full((len(equity), 1), 100.0), fills=fills, payments=np.zeros(0, PAYMENT),
        liquidation=np.zeros(len(equity)), shortfall=np.zeros(len(equity)), multiplier=np.ones(1), inverse=False,
        opening_cash=1e4,
    )  # fmt: skip


@pytest.mark.parametrize("rest", [0, 1, 400])
def test_days_after_a_stop_for_good_are_no_evidence(rest):
    whole, alone = stopped_after(60, rest), stopped_after(60, 0)
    lived, same = Lived.of(whole, LIMIT), Lived.of(alone, LIMIT)
    assert np.array_equal(lived.returns, same.returns) and np.array_equal(lived.exposure, same.exposure)
    assert (lived.block, lived.stopped) == (same.block, same.stopped)
    assert len(lived.returns) == 60 and lived.left_out == rest
    assert len(Lived.of(whole).returns) == 60 + rest  # without a limit nothing stopped it: it chose to rest


def test_a_stop_makes_ruin_no_milder_than_the_days_that_were_traded():
    lived, diluted = Lived.of(stopped_after(60, 600), LIMIT), Lived.of(stopped_after(60, 600))
    harsh, mild = (again(one).account.outcomes for one in (lived, diluted))
    assert harsh.ruined.mean() > 3 * mild.ruined.mean() > 0


def test_exposure_that_drifted_beyond_the_leverage_is_held_by_accounts_of_every_size():
    """A position twice the equity is more than twice of it after a loss, and no order made it so."""
    rng = np.random.default_rng(2)
    moves = rng.normal(0.0, 0.03, 300)
    lived = Lived(returns=2.2 * moves, exposure=np.full(300, 2.2) + 0.4 * rng.random(300), block=5)
    found = again(lived, days=200, capitals=(1e4,), small=SmallAccount())
    assert np.array_equal(found.capitals.ruined_at[0], found.account.outcomes.ruined_at)
    assert found.account.outcomes.ruined.mean() > 0.1
    capped = again(lived, days=200, capitals=(1e4,), small=SmallAccount(leverage=2.0))
    assert (capped.capitals.ruined_at != NEVER).mean() < found.account.outcomes.ruined.mean()
