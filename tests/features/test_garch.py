"""Fitted volatility models: published fits, the arch package's own forecasts, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from arch.data import sp500
from arch.univariate import HARX, arch_model
from numpy.testing import assert_allclose, assert_array_equal

from tests.naive import variance as naive
from wfbt.features.garch import Egarch, Garch, NoFit, fit_garch
from wfbt.features.har import Har, fit_har

KINDS = [(model, dist) for model in ("garch", "gjr-garch", "egarch") for dist in ("normal", "t", "skewt")]
PARAMS = {"omega": 0.05, "alpha": 0.1, "beta": 0.85}


@pytest.fixture(scope="module")
def index():
    """Daily returns of the S&P 500, 5030 of them, bundled with arch."""
    return sp500.load()["Adj Close"].pct_change().dropna().to_numpy()


def led_by_nothing(returns):
    """As a fold's column of returns is: none at row 0."""
    return np.concatenate([[np.nan], returns])


def known(bars, **params):
    return Garch(params={"mu": 0.0, **PARAMS, **params}, bars=bars, below=0.5, backcast=3.0, loglikelihood=0.0)


def simulated(rows, seed, omega=2e-6, alpha=0.05, gamma=0.08, beta=0.88, nu=6.0, logs=False):
    """Returns of a GJR-GARCH, or with `logs` of an EGARCH, with Student's t innovations."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(nu, rows + 500) * np.sqrt((nu - 2) / nu)
    out, variance = np.empty(rows + 500), 1e-4
    for t, z in enumerate(shocks):
        out[t] = z * np.sqrt(variance)
        if logs:
            variance = np.exp(omega + alpha * (abs(z) - np.sqrt(2 / np.pi)) + gamma * z + beta * np.log(variance))
        else:
            variance = omega + (alpha + gamma * (z < 0)) * out[t] ** 2 + beta * variance
    return out[500:]


# Published


def test_a_fit_of_the_sp500_has_the_published_parameters(index):
    """arch's documentation, in percent: garch_sp500_garch11 and garch_sp500_gjr, relative 1e-4."""
    garch = fit_garch(index, "garch", "normal", 1)
    expected = {"mu": 0.056353081130239346e-2, "omega": 0.017506752481683003e-4}
    expected |= {"alpha": 0.1021500192324035, "beta": 0.8852055807167696}
    assert {name: pytest.approx(value, rel=1e-4) for name, value in expected.items()} == dict(garch.params)
    assert garch.loglikelihood - len(index) * np.log(100) == pytest.approx(-6936.718476988985, rel=1e-4)
    gjr = fit_garch(index, "gjr-garch", "normal", 1)
    assert gjr.params["mu"] == pytest.approx(0.017505166662923972e-2, rel=1e-4)
    assert gjr.params["omega"] == pytest.approx(0.019566072152484317e-4, rel=1e-4)
    assert gjr.params["alpha"] == pytest.approx(0.0, abs=1e-6)
    assert gjr.params["gamma"] == pytest.approx(0.18306881904246455, rel=1e-4)
    assert gjr.params["beta"] == pytest.approx(0.8922356125747901, rel=1e-4)
    assert gjr.loglikelihood - len(index) * np.log(100) == pytest.approx(-6822.882823373991, rel=1e-4)


def test_far_ahead_a_garch_expects_its_unconditional_variance():
    """garch_uncond: ω/(1 − α − β) = 1 (Bollerslev 1986)."""
    near, far = (known(bars).ahead(np.array([np.nan]))[0] for bars in (5_000, 10_000))
    assert (far - near) / 5_000 == pytest.approx(1.0, rel=1e-12)


def test_half_of_a_shock_is_gone_after_the_half_life():
    """garch_halflife: ln ½ / ln 0.95 = 13.513407333964874."""
    steps = np.diff([known(bars).ahead(np.array([np.nan]))[0] for bars in (4, 5, 6)])
    fading = (steps[1] - 1.0) / (steps[0] - 1.0)
    assert np.log(0.5) / np.log(fading) == pytest.approx(13.513407333964874, rel=1e-9)


# The arch package's own forecasts


@pytest.mark.parametrize(("model", "dist"), KINDS)
def test_one_row_ahead_is_what_arch_forecasts(model, dist, index):
    fitted = fit_garch(index, model, dist, 1)
    mine = fitted.one_step(led_by_nothing(index))[1:]
    theirs = arch_forecast(index, model, dist).forecast(horizon=1, start=0).variance.to_numpy()[:, 0] / 1e4
    # arch backcasts the first row with half of γ whatever the innovations; that fades with the persistence.
    skip = 400 if (model, dist) == ("gjr-garch", "skewt") else 0
    assert_allclose(mine[skip:], theirs[skip:], rtol=1e-8)
    assert_allclose(fitted.ahead(led_by_nothing(index))[1:], mine, rtol=1e-14)


@pytest.mark.parametrize(("model", "dist"), [(m, d) for m, d in KINDS if m != "egarch" and (m, d) != KINDS[5]])
def test_several_rows_ahead_are_the_sum_of_what_arch_forecasts(model, dist, index):
    mine = fit_garch(index, model, dist, 10).ahead(led_by_nothing(index))[1:]
    theirs = arch_forecast(index, model, dist).forecast(horizon=10, start=0).variance.to_numpy().sum(axis=1) / 1e4
    assert_allclose(mine, theirs, rtol=1e-8)


@pytest.mark.parametrize("model", ["gjr-garch", "egarch"])
def test_with_skewed_innovations_several_rows_ahead_are_the_mean_of_arch_simulations(model, index):
    """arch's closed form takes the share of falls to be a half; its simulations draw them as they are."""
    mine = fit_garch(index, model, "skewt", 5).ahead(led_by_nothing(index))[-2:]
    told = arch_forecast(index, model, "skewt").forecast(
        horizon=5, start=len(index) - 2, method="bootstrap", simulations=40_000, random_state=np.random.RandomState(3)
    )
    assert_allclose(mine, told.variance.to_numpy().sum(axis=1) / 1e4, rtol=0.01)


def arch_forecast(index, model, dist):
    vol, o = ("EGARCH", 1) if model == "egarch" else ("GARCH", int(model == "gjr-garch"))
    asked = arch_model(100 * index, mean="Constant", vol=vol, p=1, o=o, q=1, dist=dist, rescale=False)
    return asked.fit(disp="off")


def test_several_rows_ahead_are_the_expectations_of_the_recursion():
    returns = led_by_nothing(np.random.default_rng(2).normal(0, 1, 50))
    fitted = known(24, alpha=0.02, gamma=0.1, beta=0.9)
    one = fitted.one_step(returns)
    expected = [naive.garch_ahead(v, 0.05, 0.02 + 0.1 * 0.5 + 0.9, 24) for v in one]
    assert_allclose(fitted.ahead(returns), expected, rtol=1e-12)


def test_a_persistence_of_one_and_more_still_has_a_forecast_of_a_day():
    returns = led_by_nothing(np.random.default_rng(2).normal(0, 1, 50))
    fitted = known(24, alpha=0.1, beta=0.9)
    expected = [naive.garch_ahead(v, 0.05, 1.0, 24) for v in fitted.one_step(returns)]
    assert_allclose(fitted.ahead(returns), expected, rtol=1e-12)


def test_an_egarch_ahead_is_the_mean_over_every_path_of_its_innovations():
    z = np.array([-1.7, -0.3, 0.2, 1.1])
    params = {"mu": 0.0, "omega": -0.3, "alpha": 0.2, "gamma": -0.1, "beta": 0.95}
    fitted = Egarch(params=params, bars=5, backcast=1e-3, usual=1e-3, innovations=z, loglikelihood=0.0)
    returns = led_by_nothing(np.random.default_rng(4).normal(0, 0.03, 20))
    expected = [naive.egarch_ahead(level, -0.3, 0.2, -0.1, 0.95, z, 5) for level in np.log(fitted.one_step(returns))]
    assert_allclose(fitted.ahead(returns), expected, rtol=1e-12)


# Fitting


@pytest.mark.slow
@pytest.mark.parametrize("dist", ["normal", "t", "skewt"])
def test_the_parameters_of_a_simulated_gjr_garch_are_found_again(dist):
    found = np.array(
        [
            [fitted.params[name] for name in ("alpha", "gamma", "beta")]
            for fitted in (fit_garch(simulated(8_000, seed), "gjr-garch", dist, 1) for seed in range(12))
        ]
    )
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - [0.05, 0.08, 0.88]) < 4 * error + 0.003).all()
    assert (found.std(axis=0) < 0.05).all()


@pytest.mark.slow
def test_the_parameters_of_a_simulated_egarch_are_found_again():
    truth = {"omega": -0.2, "alpha": 0.15, "gamma": -0.08, "beta": 0.98}
    found = np.array(
        [
            [fitted.params[name] for name in truth]
            for fitted in (
                fit_garch(simulated(8_000, seed, **truth, nu=8.0, logs=True), "egarch", "t", 1) for seed in range(12)
            )
        ]
    )
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    assert (np.abs(found.mean(axis=0) - list(truth.values())) < 4 * error + 0.005).all()


@pytest.mark.parametrize("model", ["gjr-garch", "egarch"])
def test_a_fit_does_not_depend_on_the_unit_of_returns(model):
    """Bars of a minute have returns a hundredth of a day's."""
    returns = simulated(3_000, 1)
    one, small = (fit_garch(scale * returns, model, "t", 6) for scale in (1.0, 0.013))
    names = ("alpha", "gamma", "beta", "nu")
    assert_allclose([small.params[n] for n in names], [one.params[n] for n in names], rtol=0.02, atol=2e-3)
    ahead = one.ahead(led_by_nothing(returns)), small.ahead(led_by_nothing(0.013 * returns)) / 0.013**2
    assert_allclose(*ahead, rtol=0.01)


def test_a_skewed_fit_expects_its_own_share_of_falls(index):
    fitted = fit_garch(index, "gjr-garch", "skewt", 1)
    assert fitted.params["lambda"] < 0
    assert 0.5 < fitted.below < 0.6
    assert fit_garch(index, "gjr-garch", "t", 1).below == pytest.approx(0.5, rel=1e-9)


def test_too_few_returns_still_prices_and_no_numbers_are_refused():
    returns = simulated(400, 2)
    with pytest.raises(NoFit, match="249 training returns are fewer than 250"):
        fit_garch(returns[:249], "garch", "normal", 1)
    with pytest.raises(NoFit, match="the price did not move"):
        fit_garch(np.zeros(400), "garch", "normal", 1)
    with pytest.raises(NoFit, match="training return 7 is no number"):
        fit_garch(np.where(np.arange(400) == 7, np.nan, returns), "garch", "normal", 1)


def test_an_optimiser_that_gives_up_is_no_fit(monkeypatch):
    given = SimpleNamespace(convergence_flag=9, params={"mu": 0.0, "omega": 1.0, "alpha[1]": 0.1, "beta[1]": 0.8})
    monkeypatch.setattr("arch.univariate.base.ARCHModel.fit", lambda self, **options: given)
    with pytest.raises(NoFit, match="likelihood of garch with t innovations was not brought to its maximum"):
        fit_garch(simulated(400, 2), "garch", "t", 1)


def test_a_shock_that_never_fades_is_noted():
    """Variance that only grows: the likelihood is highest with α + β at 1."""
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 0.001 * np.exp(np.linspace(0, 4, 3_000)))
    fitted = fit_garch(returns, "garch", "normal", 1)
    assert fitted.persistence > 1 - 1e-6
    assert fitted.notes == ("persistence is at its bound of 1: variance has no mean to return to",)
    assert fit_garch(simulated(3_000, 2), "garch", "t", 1).notes == ()


# HAR


def test_a_har_of_one_row_has_the_coefficients_of_arch():
    returns = simulated(3_000, 5)
    squares = returns**2
    mine = fit_har([returns], 1, (1, 5, 22))
    theirs = HARX(1e4 * squares, lags=[1, 5, 22]).fit(disp="off").params.to_numpy()[:4]
    got = np.array([1e4 * mine.params["const"], *(mine.params[name] for name in ("day", "week", "month"))])
    assert_allclose(got, theirs, rtol=1e-7, atol=1e-10)
    model = HARX(1e4 * squares, lags=[1, 5, 22])
    told = model.fit(disp="off").forecast(horizon=1, start=100).mean.to_numpy()[:, 0] / 1e4
    assert_allclose(mine.ahead(led_by_nothing(returns))[101:], np.maximum(told, mine.least), rtol=1e-7)


def test_a_har_is_the_regression_of_the_next_horizon_on_the_last_day_week_and_month():
    runs = [simulated(900, 7), simulated(500, 8)]
    windows, bars = (4, 20, 88), 6
    rows, targets = [], []
    for run in runs:
        for t in range(87, len(run) - bars):
            rows.append([1.0, *(np.mean(run[t - n + 1 : t + 1] ** 2) for n in windows)])
            targets.append(np.mean(run[t + 1 : t + 1 + bars] ** 2))
    expected, *_ = np.linalg.lstsq(np.array(rows), np.array(targets))
    fitted = fit_har(runs, bars, windows)
    assert_allclose(list(fitted.params.values()), expected, rtol=1e-8)
    assert fitted.least == pytest.approx(min(targets))
    returns = led_by_nothing(runs[0][:300])
    slopes = [fitted.params[name] for name in ("day", "week", "month")]
    mine = fitted.ahead(returns)
    for t in range(4, 301):
        twin = naive.har_ahead(returns, fitted.params["const"], slopes, windows, fitted.least, bars, t)
        assert mine[t] == pytest.approx(twin, rel=1e-11)
    assert np.isnan(mine[:4]).all()


def test_a_har_never_forecasts_less_than_it_has_seen():
    fitted = Har(params={"const": -1.0, "day": 0.0, "week": 0.0, "month": 0.0}, bars=3, windows=(1, 2, 4), least=0.5)
    assert_array_equal(fitted.ahead(led_by_nothing(np.ones(3)))[1:], 1.5)


def test_a_har_refuses_bars_longer_than_a_day_and_training_without_a_month():
    with pytest.raises(NoFit, match="longer than a day"):
        fit_har([simulated(400, 1)], 1, (1, 1, 4))
    with pytest.raises(NoFit, match="has 231 training rows with a month before"):
        fit_har([simulated(400, 1)], 1, (7, 35, 169))
    with pytest.raises(NoFit, match="the price did not move"):
        fit_har([np.zeros(400)], 1, (1, 5, 22))
