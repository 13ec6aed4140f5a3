"""The account's own days in another order, and accounts of other sizes on them."""

import numpy as np
import pytest

from tests.simulation.asking import study_file, walked
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
