"""What the gate itself computes of a run, for criteria to read as `gate.…`.

Everything that cannot be known is None with a reason: too few days, a section that was switched off, a number that is
none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from wfbt.errors import ConfigError
from wfbt.gate.metrics import Missing, parse_metric, read_metric
from wfbt.gate.spending import threshold
from wfbt.ledger.wording import NEVER_NET
from wfbt.validation.evidence import Tested, alpha_test, sharpe_test, variance_factor

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]

CONFIDENCE = 0.95
"""One-sided, of every bound here."""

AGREE = 1e-6
"""How far compounded daily returns may lie from the reported total, in units of what an account grew to."""

A_YEAR_DAYS = 360.0
"""Simulated years that are shorter are none: a year of 252 days is simulated as 365 calendar days."""


MOVED = {"params": ("reach", 0.2), "noise": ("noise", 0.001)}
"""Where a robustness test says how far it moved things, and how far it has to."""

LATE = 5
"""Bars by which entries have to be late at most."""

CORRELATION = "correlation breakdown"
"""A kind of stress that needs two symbols."""

STRESSES: dict[str, dict[str, float]] = {
    "flash crash": {"shock": -0.3},
    "liquidity crisis": {"spread": 10.0, "volume": 0.1},
    CORRELATION: {"rho": 0.95},
    "exchange outage": {"outage_hours": 24.0},
}
"""What the names of the scenarios that have to be played begin with, and how severe one of each kind has to be."""

LOWER_IS_WORSE = ("shock", "volume")
"""Measures of severity that are worse the lower they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """The judged window: stitched out-of-sample net returns, day by day, known once it is over.

    Attributes
    ----------
    returns, held : (n,) float64
        Of the account, and of buy-and-hold on the same days.
    fold : (n,) int64
        `index` of the fold that each day belongs to.
    periods_per_year : float
        Days a year.
    """

    returns: F8
    held: F8
    fold: I8
    periods_per_year: float

    def __post_init__(self) -> None:
        shapes = [np.shape(one) for one in (self.returns, self.held, self.fold)]
        if len(shapes[0]) != 1 or len(set(shapes)) != 1:
            raise ConfigError(f"returns, held and fold must be of the same days, have the shapes {shapes}")
        if not 0 < self.periods_per_year < np.inf:
            raise ConfigError(f"periods_per_year must be > 0, was {self.periods_per_year}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """What was tried before this verdict, from the trial ledger; None where no ledger can say.

    Attributes
    ----------
    attempt : int or None
        The family's attempts at the gate, this one included.
    series : int or None
        Return series whose result on the judged window was seen before choosing.
    picked : bool
        Whether the judged one was chosen by its result on that window.
    """

    attempt: int | None
    series: int | None
    picked: bool = False


Facts = dict[str, Any]


def gate_facts(result: Mapping[str, Any], daily: Daily, tries: Tries, spend: float) -> Facts:
    """The mapping behind `gate.…`: numbers and booleans, None beside a text in its `reasons`."""
    facts: Facts = {"reasons": {}}
    _put(facts, "threshold", lambda: _threshold(tries, spend))
    tested = _tested(lambda: sharpe_test(daily.returns))
    alpha = _tested(lambda: alpha_test(daily.returns, daily.held)[0])
    _put(facts, "sharpe_z", lambda: _got(tested).z)
    _put(facts, "sharpe_high", lambda: _annual(_got(tested).upper(CONFIDENCE), daily))
    _put(facts, "variance_factor", lambda: _got(tested).factor)
    _put(facts, "alpha_z", lambda: _got(alpha).z)
    _put(facts, "folds", lambda: _folds(result))
    _put(facts, "returns_agree", lambda: _agree(result, daily))
    _put(facts, "without_best_high", lambda: _without_best_high(daily))
    _robust(facts, result, lambda: _annual(_got(tested).error, daily))
    _put(facts, "drawdown_p95", lambda: max(_depth(result, place) for place in _simulated(result)))
    _put(facts, "stress_loss", lambda: _stress_loss(result))
    _put(facts, "ruin_low", lambda: max(_ruin(result, place, "low") for place in _simulated(result)))
    _put(facts, "ruin_high", lambda: max(_ruin(result, place, "high") for place in _simulated(result)))
    return facts


class _Unknown(Exception):
    """Why a fact cannot be known."""


def _put(facts: Facts, name: str, compute: Callable[[], float | bool]) -> None:
    try:
        facts[name] = compute()
    except (_Unknown, ConfigError) as error:
        facts[name] = None
        facts["reasons"][name] = str(error)


def _tested(test: Callable[[], Tested]) -> Tested | str:
    """What the test found, or why it could not be made."""
    try:
        return test()
    except ConfigError as error:
        return str(error)


def _got(tested: Tested | str) -> Tested:
    if isinstance(tested, str):
        raise _Unknown(tested)
    return tested


def _annual(per_day: float, daily: Daily) -> float:
    return per_day * sqrt(daily.periods_per_year)


def _number(result: Mapping[str, Any], path: str) -> float:
    (value,) = read_metric(parse_metric(path), result)
    if isinstance(value, Missing):
        raise _Unknown(value.why)
    if isinstance(value, bool):
        raise _Unknown(f"{path} must be a number, is {str(value).lower()}")
    return value


def _list(result: Mapping[str, Any], *keys: str) -> list[Any]:
    """The list at `keys`, or why there is none."""
    node: Any = result
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    if not isinstance(node, list):
        raise _Unknown(f"{'.'.join(keys)} is not in the result")
    return node


def _threshold(tries: Tries, spend: float) -> float:
    if tries.attempt is None or tries.series is None:
        raise _Unknown("no trial ledger says what was tried before; hand it on, or declare a first look")
    return threshold(tries.attempt, tries.series, spend)


def _folds(result: Mapping[str, Any]) -> int:
    return len({_index(one) for one in _list(result, "folds")})


def _index(fold: Any) -> int:
    index = fold.get("index") if isinstance(fold, dict) else None
    if not isinstance(index, int) or isinstance(index, bool):
        raise _Unknown("a fold has no index")
    return index


def _agree(result: Mapping[str, Any], daily: Daily) -> bool:
    """Whether the daily returns are those of this result."""
    if "paths" in result:
        raise _Unknown("combinatorial paths share their days, so there is no one series to judge")
    for series, path in ((daily.returns, "oos.total_return"), (daily.held, "benchmark.total_return")):
        grown = 1.0 + _number(result, path)
        if not np.isfinite(series).all():
            raise _Unknown("a daily return is missing")
        if not abs(float(np.prod(1.0 + series)) - grown) <= AGREE * max(1.0, grown):
            return False
    same_folds = {_index(one) for one in _list(result, "folds")} == set(daily.fold.tolist())
    return same_folds and len(daily.returns) == _number(result, "oos.days")


def _without_best_high(daily: Daily) -> float:
    """Upper bound of the annual Sharpe ratio of all days but those of the fold that gained most."""
    if not np.isfinite(daily.returns).all():
        raise _Unknown("a daily return is missing")
    folds = np.unique(daily.fold)
    if len(folds) < 2:
        raise _Unknown("without its best fold nothing is left")
    gained = [float(np.prod(1.0 + daily.returns[daily.fold == one])) for one in folds]
    rest = daily.returns[daily.fold != folds[int(np.argmax(gained))]]
    return _annual(sharpe_test(rest).upper(CONFIDENCE), daily)


def _robust(facts: Facts, result: Mapping[str, Any], error: Callable[[], float]) -> None:
    """Sharpe ratios of replays, and shares of the run's own; each with what it may be by the run's own error.

    A replay's error is nearly the run's, being of the same days.
    """

    def higher(sharpe: float) -> float:
        return sharpe + float(ndtri(CONFIDENCE)) * error()

    def kept(sharpe: float) -> float:
        base = _number(result, "oos.sharpe")
        if not base > 0:
            raise _Unknown(f"the run's own Sharpe ratio is {base:.2f}, and a share of no gain means nothing")
        return sharpe / base

    _put(facts, "costs_doubled", lambda: _doubled(result))
    _put(facts, "costs_doubled_high", lambda: higher(_doubled(result)))

    def share(name: str, sharpe: Callable[[], float]) -> None:
        _put(facts, name, lambda: kept(sharpe()))
        _put(facts, f"{name}_high", lambda: kept(higher(sharpe())))

    share("params_kept", lambda: _elsewhere(result))
    share("noise_kept", lambda: _moved(result, "noise"))
    share("delay_kept", lambda: _late(result))
    share("one_bar_kept", lambda: _one_bar(result))


def _moved(result: Mapping[str, Any], name: str) -> float:
    """Median Sharpe ratio of a test that moved things as far as the gate asks: what hardly moves shows nothing."""
    key, least = MOVED[name]
    median = _number(result, f"robustness.{name}.quantiles.median")
    if (reach := _number(result, f"robustness.{name}.{key}")) < least:
        raise _Unknown(f"robustness.{name} moved by {reach:g} only; set it to {least:g} or more")
    return median


def _late(result: Mapping[str, Any]) -> float:
    """Median Sharpe ratio of entries that are late by chance, up to as many bars as the gate asks."""
    median = _number(result, "robustness.delay.quantiles.median")
    rows = _list(result, "robustness", "delay", "fixed")
    bars = [row.get("bars") for row in rows if isinstance(row, dict)]
    most = max((one for one in bars if isinstance(one, int)), default=0)
    if most < LATE:
        raise _Unknown(f"robustness.delay was {most} bars at most; set it to {LATE} or more")
    return median


def _elsewhere(result: Mapping[str, Any]) -> float:
    """Annual Sharpe ratio beside what was chosen: parameters moved, the other seeds of a network, or the worse of both.

    Of seeds it is the interquartile mean, or the lower end of its interval where that shows no gain.  A network that
    stands alone has seeds and no parameters; whatever has neither was not moved.
    """
    section = result.get("robustness")
    alone = _network(result) and isinstance(section, Mapping) and section.get("params", 0) is None
    told = [] if alone else [_moved(result, "params")]
    if _network(result):
        if result["seeds"].get("count") == 1:
            raise _Unknown("one seed was trained: how far others would lie is unknown; train five or more")
        low, middle = (_number(result, f"seeds.{path}") for path in ("interval.low", "interquartile_mean"))
        told.append(middle if low > 0 else low)
    return min(told)


def _network(result: Mapping[str, Any]) -> bool:
    """Whether a network decides, in one account."""
    return isinstance(result.get("seeds"), dict)


def _doubled(result: Mapping[str, Any]) -> float:
    """Annual Sharpe ratio at twice the costs: the worst, should several replays say so."""
    return min(_sharpes(result, ("robustness", "costs", "levels"), "multiple", 2.0))


def _one_bar(result: Mapping[str, Any]) -> float:
    return min(_sharpes(result, ("robustness", "delay", "fixed"), "bars", 1))


def _sharpes(result: Mapping[str, Any], keys: tuple[str, ...], by: str, wanted: float) -> list[float]:
    rows = _list(result, *keys)
    found = [
        at
        for at, row in enumerate(rows)
        if isinstance(row, dict) and row.get(by) == wanted and not isinstance(row[by], bool)
    ]
    if not found:
        raise _Unknown(f"{'.'.join(keys)} has no row of {by} {wanted:g}")
    return [_number(result, f"{'.'.join(keys)}[{at}].sharpe") for at in found]


def _simulated(result: Mapping[str, Any]) -> list[str]:
    """Where accounts were simulated: resampled days and every level; a level that is not there has to be known."""
    if _number(result, "monte_carlo.horizon_days") < A_YEAR_DAYS:
        raise _Unknown("monte_carlo.horizon is shorter than a year")
    levels = result["monte_carlo"]
    places = ["resampled"]
    for level in ("1", "2", "3", "4", "5"):
        if level == "4" and _one_symbol(result) and levels.get(level) is None:
            continue  # with one symbol, level 4 is level 3
        places.append(level)
    return places


def _stress_loss(result: Mapping[str, Any]) -> float:
    """The greatest loss of all scenarios; every kind that is asked for has to be among them."""
    _number(result, "stress.max_stress_loss")  # a section that was switched off says why
    rows = _list(result, "stress", "scenarios")
    names = [row.get("name") if isinstance(row, dict) else None for row in rows]
    exempt = CORRELATION if _one_symbol(result) else None
    losses: dict[str, float] = {}
    for at, name in enumerate(names):
        if not isinstance(name, str):
            raise _Unknown(f"stress.scenarios[{at}] has no name")
        if rows[at].get("loss") is None and _unmet(rows[at]):
            losses[name] = max(0.0, losses.get(name, 0.0))
        elif exempt is None or not name.startswith(exempt) or rows[at].get("loss") is not None:
            losses[name] = max(_number(result, f"stress.scenarios[{at}].loss"), losses.get(name, 0.0))
    for kind in STRESSES:
        if kind != exempt and not any(name.startswith(kind) for name in losses):
            raise _Unknown(f"stress.scenarios has no {kind}")
    worst = result["stress"].get("worst")
    if not isinstance(worst, str) or worst not in losses:
        raise _Unknown("stress.worst is none of stress.scenarios")
    for kind, least in STRESSES.items():
        if kind != exempt:
            _severe(result, kind, least, [at for at, name in enumerate(names) if name and name.startswith(kind)])
    return max(losses.values())


def _severe(result: Mapping[str, Any], kind: str, least: Mapping[str, float], places: list[int]) -> None:
    """Whether one scenario of a kind is as severe as the gate asks: a day that is hardly bad shows nothing."""

    def met(at: int, key: str, wanted: float) -> bool:
        found = _number(result, f"stress.scenarios[{at}].severity.{key}")
        return found <= wanted if key in LOWER_IS_WORSE else found >= wanted

    if not any(all(met(at, key, wanted) for key, wanted in least.items()) for at in places):
        asked = ", ".join(f"{key} {wanted:g}" for key, wanted in least.items())
        raise _Unknown(f"no {kind} was as severe as the gate asks ({asked}); set it so under stress")


def baseline_facts(daily: Daily, before: Daily) -> Facts:
    """`gate.baseline_…`: how the Sharpe ratio of the judged window differs from the baseline's, day by day.

    baseline_change is in annual units, baseline_change_high its one-sided upper bound: from paired daily differences of
    the two returns, each in units of its own deviation, with a HAC error.  Known only where both saw the same days.
    """
    facts: Facts = {"reasons": {}}

    def paired() -> tuple[float, float]:
        if len(daily.returns) != len(before.returns):
            raise _Unknown(
                f"the baseline has {len(before.returns)} judged days and this run {len(daily.returns)}; judge both on "
                "the same data and folds"
            )
        if not np.allclose(daily.held, before.held, rtol=1e-6, atol=1e-9):
            raise _Unknown("buy-and-hold differs from the baseline's: other days, other symbols or other costs")
        deviations = [float(np.std(one.returns, ddof=1)) if len(one.returns) > 1 else 0.0 for one in (daily, before)]
        if not all(one > 0 for one in deviations):
            raise _Unknown("returns that do not vary have no Sharpe ratio to compare")
        units = [one.returns / scale for one, scale in zip((daily, before), deviations, strict=True)]
        gained = units[0] - units[1]
        if not gained.any():
            return 0.0, 0.0
        return float(gained.mean()), float(np.std(gained, ddof=1) * sqrt(variance_factor(gained)[0] / len(gained)))

    _put(facts, "baseline_change", lambda: _annual(paired()[0], daily))
    _put(facts, "baseline_change_high", lambda: _annual(paired()[0] + float(ndtri(CONFIDENCE)) * paired()[1], daily))
    return facts


def _unmet(scenario: Mapping[str, Any]) -> bool:
    """Whether a move against shorts, or longs, met an account that never held any: it lost nothing by it."""
    reasons = scenario.get("reasons")
    why = reasons.get("loss") if isinstance(reasons, Mapping) else None
    return isinstance(why, str) and why.startswith(NEVER_NET)


def _one_symbol(result: Mapping[str, Any]) -> bool:
    return isinstance(result.get("data"), dict) and len(result["data"]) == 1


def _depth(result: Mapping[str, Any], place: str) -> float:
    """Drawdown that one simulated year in twenty exceeds, a fraction of the peak."""
    _ran(result, place)
    rows = _list(result, "ruin", "drawdowns", place)
    found = [at for at, row in enumerate(rows) if isinstance(row, dict) and row.get("percentile") == 95.0]
    if not found:
        raise _Unknown(f"ruin.drawdowns.{place} has no 95th percentile")
    return max(_number(result, f"ruin.drawdowns.{place}[{at}].depth") for at in found)


def _ruin(result: Mapping[str, Any], place: str, end: str) -> float:
    """Bound, low or high, of the chance that half is lost within a year."""
    _ran(result, place)
    if not 0 < _number(result, f"ruin.within_a_year.{place}.loss") <= 0.5:
        raise _Unknown("monte_carlo.ruin is more than half of the account")
    if _number(result, f"ruin.within_a_year.{place}.days") < A_YEAR_DAYS:
        raise _Unknown("ruin.within_a_year is over less than a year")
    return _number(result, f"ruin.within_a_year.{place}.{end}")


def _ran(result: Mapping[str, Any], place: str) -> None:
    levels = result["monte_carlo"]
    if place != "resampled" and levels.get(place) is None:
        reasons = levels.get("reasons")
        told = reasons.get(place) if isinstance(reasons, dict) else None
        raise _Unknown(f"level {place} did not run: {told or 'without a reason'}")
