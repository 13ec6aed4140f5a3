"""Has what a run was judged on changed since?  Its strategy on new data, compared with the rows of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.assembly import read_market, rules_in, study_of
from wfbt.checks import naming
from wfbt.compute import cores
from wfbt.config import schema
from wfbt.config.load import load_strategy
from wfbt.config.values import Time
from wfbt.data.continued import continued, end_of
from wfbt.data.found import ROLES, found_in, series_in
from wfbt.data.market import DAY, Market
from wfbt.data.store import read_bars
from wfbt.errors import ArtifactError, ConfigError, DataError
from wfbt.ledger.earned import read_earned
from wfbt.ledger.ledger import Ledger
from wfbt.ledger.metrics import Calendar, daily_equity, daily_returns
from wfbt.ledger.trade_log import ns_of
from wfbt.policies import networks_of, policies_of
from wfbt.policy.taught import Taught
from wfbt.reopened import Run, check_rule, deployed, market_of, open_run, with_networks
from wfbt.results import iso
from wfbt.validation.behaviour import actions, habits
from wfbt.validation.cusum import run_length
from wfbt.validation.folds import Fold
from wfbt.validation.monitoring import DRIFTED, SAME, UNKNOWN, Fallen, Judged, Sheet, follow, judge, overall
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.stops import limit_reached
from wfbt.validation.walk_forward import Study, View, tested_rows, training_times

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

SCHEMA_VERSION = "1"
EXITS = {SAME: 0, DRIFTED: 1, UNKNOWN: 4}
"""Exit code of each verdict."""
FEWEST_DAYS = 14
"""Days of new data below which nothing is said: less than two weeks know nothing of weekends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is asked.

    Attributes
    ----------
    level : float
        Chance of any false alarm in one comparison.
    fall : float
        Fall of the annual Sharpe ratio that the monitor of returns is built for.
    horizon : int
        Days of returns within which that monitor keeps its promise.
    equity : Path or None
        A file of live equity or daily returns; None: the strategy is replayed.
    """

    level: float = 0.05
    fall: float = 2.0
    horizon: int = 365
    equity: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ConfigError(f"--level must be above 0 and below 1, was {self.level}")
        if not 0 < self.fall < 100:
            raise ConfigError(f"--fall must be an annual Sharpe ratio above 0, was {self.fall}")
        if self.horizon < 30:
            raise ConfigError(f"--horizon must be at least 30 days, was {self.horizon}")


def drift_of(
    run_dir: str | os.PathLike[str],
    new_data: str | os.PathLike[str],
    watch: Watch | None = None,
    *,
    models: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Compare the rows a run was judged on with newer ones, as plain values for JSON; nothing is written.

    `new_data` is a file or a folder (`data.found`), or a strategy file whose data section names the new data.
    ArtifactError where the run folder is not whole, or no longer stands on the data, the rule or the networks that it
    was made of; DataError where the new data are unsound; ConfigError where they cannot be told from names.
    """
    watch = watch or Watch()
    run = open_run(Path(run_dir), models)
    with naming(run.folder):
        progress("reading the data of the run", 0, 0)
        before = market_of(run)
        study, plan, _ = study_of(run.config, before, policies_of(run.config), jobs or cores())
        check_rule(run, study)
        first, last = tested_rows(plan)
    progress("reading the new data", 0, 0)
    given = _new_config(run.config, Path(new_data), before)
    since = end_of(before)
    after, cut = _new_market(given, since)
    market = continued(before, after)
    span = {"start": iso(min(int(one.bars.open_ts[0]) for one in after.instruments)), "end": iso(end_of(after))}
    days = (end_of(after) - since) / DAY
    told: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run": run.folder.name,
        "run_id": run.manifest["run_id"],
        "level": watch.level,
        "seed": run.config.seed,
        "new": span | {"days": round(days, 3), "data_sha256": after.digest},
    }
    notes = [*run.notes, *cut, *market.notes]
    gap = min(int(one.bars.open_ts[0]) for one in after.instruments) - since
    if gap > before.period:
        notes.append(f"{gap / DAY:.1f} days lie between the run's data and the new: indicators reach across them")
    if days < FEWEST_DAYS:
        why = f"the new data reach {days:.1f} days beyond those of the run; at least {FEWEST_DAYS} are needed"
        names = ("params", "account", "sheets", "habits", "falls")
        return told | {
            "verdict": UNKNOWN, **dict.fromkeys(names), "notes": notes, "reasons": dict.fromkeys(names, why)
        }  # fmt: skip
    with naming(run.folder):
        progress("replaying the strategy", 0, 0)
        there, _, _ = study_of(run.config, market, policies_of(run.config), jobs or cores())
        there = with_networks(run, there, plan[-1])
        chosen = deployed(run, there, plan[-1])
        rows = int(np.searchsorted(there.deck.close_ts, since, side="right"))
        judged = chosen.account(first, last)
        live = chosen.account(rows, len(there.deck.close_ts))
    stopped = limit_reached(live, run.config.limits.max_drawdown)
    if stopped is not None:
        notes.append(f"on the new data the drawdown limit would have stopped the replayed account on {iso(stopped)}")
    calendar = there.deck.calendar
    earlier, why_cut = _tested_returns(run, calendar)
    notes += why_cut
    earned = _days_of(live, calendar) if watch.equity is None else read_earned(watch.equity, since, calendar)
    if watch.equity is not None and not len(earned):
        raise DataError(f"{watch.equity}: has no day after {iso(since)}, the end of the run's data")
    progress("comparing", 0, 0)
    close = there.deck.close_ts
    tested = int(close[first]), int(close[last - 1])
    sheets = [_market_sheet(market, since, tested)]
    if (observed := _features_sheet(chosen.views, there, plan[-1], since, gap, tested)) is not None:
        sheets.append(observed)
    sheets.append(_sheet("actions", actions(judged), actions(live), "the policy of the last fold on the judged rows"))
    returns = {"daily return": _days_of(judged, calendar)}, {"daily return": earned}
    sheets.append(_sheet("returns", *returns, "the policy of the last fold on the judged rows"))
    share = 1.0 / (len(sheets) + 1)
    *seeds, own = np.random.SeedSequence([run.config.seed, 0xD81F7]).spawn(len(sheets) + 1)
    found = [judge(sheet, share, watch.level, seed) for sheet, seed in zip(sheets, seeds, strict=True)]
    shift = watch.fall / float(np.sqrt(calendar.periods_per_year))
    fallen = follow(earlier, earned, shift, watch.horizon, share * watch.level, own)
    # What few days say of a distribution of days is the monitor's to say.
    asked = [one.verdict for one in found if one.name != "returns" or one.verdict != UNKNOWN]
    return told | {
        "verdict": overall([*asked, fallen.verdict]),
        "params": run.fold["params"],
        "account": "replayed" if watch.equity is None else watch.equity.name,
        "sheets": [_told_sheet(one) for one in found],
        "habits": _told_habits(judged, live, before.period),
        "falls": _told_falls(fallen, watch, shift, calendar),
        "notes": [*notes, *(f"{one.name}: {note}" for one in found for note in one.notes)],
        "reasons": {},
    }


def _new_config(config: schema.Strategy, place: Path, before: Market) -> schema.Strategy:
    """The strategy of the run, its data section naming the new data, from the end of the run's on."""
    since = Time(end_of(before))
    if place.suffix.lower() in (".yaml", ".yml"):
        other = load_strategy(place)
        if missing := [name for name in config.data.symbols if name not in other.data.symbols]:
            raise ConfigError(f"{place}: data.symbols has no {missing[0]}, which the run trades")
        if lacking := [name for name in config.data.series if name not in other.data.series]:
            raise ConfigError(f"{place}: data.series has no {lacking[0]}, which the run was given")
        if int(other.data.end) <= since:
            raise DataError(f"{place}: data.end is {other.data.end}, and the run's own data reach to {since}")
        paths = {
            name: {
                role: one and other.locate(one) for role in ROLES if (one := getattr(other.data.symbols[name], role))
            }
            for name in config.data.symbols
        }
        series = {name: other.locate(other.data.series[name].path) for name in config.data.series}
        quality, end = other.quality, other.data.end
    else:
        own = {
            name: {role: getattr(given, role) for role in ROLES} for name, given in config.data.symbols.items()
        }  # fmt: skip
        paths = found_in(place, own)
        if config.data.series and place.is_file():
            raise ConfigError(
                f"{place} is one file of bars, and the run was given the series {', '.join(config.data.series)} too; "
                "name a folder"
            )
        series = series_in(place, {name: one.path for name, one in config.data.series.items()})
        quality, end = config.quality, Time.parse("2259-01-01")
    symbols = {
        name: given.model_copy(
            update=dict.fromkeys(ROLES) | {role: os.path.abspath(path) for role, path in paths[name].items()}
        )
        for name, given in config.data.symbols.items()
    }
    data = config.data.model_copy(
        update={
            "symbols": symbols,
            "series": {
                name: one.model_copy(update={"path": os.path.abspath(series[name])})
                for name, one in config.data.series.items()
            },
            "start": since,
            "end": end,
        }
    )
    return config.model_copy(update={"data": data, "quality": quality})


def _new_market(config: schema.Strategy, since: int) -> tuple[Market, list[str]]:
    """What comes after the run's data, and how many rows before were left out."""
    notes = []
    for name, given in config.data.symbols.items():
        every = read_bars(given.bars, name, None, int(config.data.end))
        overlap = int(np.count_nonzero(every.ts < since))
        if overlap == len(every):
            raise DataError(
                f"{name}: {given.bars}: none of its {overlap:,} bars opens at or after {iso(since)}, the end of the "
                "run's data; nothing is new"
            )
        if overlap:
            notes.append(f"{name}: {overlap:,} bars before {iso(since)} are rows of the run itself, and are left out")
    return read_market(config), notes


def _tested_returns(run: Run, calendar: Calendar) -> tuple[F8, list[str]]:
    """(D,) daily out-of-sample returns of the run, while its account was alive."""
    try:
        frame = pd.read_parquet(run.folder / "equity.parquet", columns=["timestamp", "equity"])
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{run.folder}: equity.parquet cannot be read: {error}; run it again") from error
    ts, equity, notes = ns_of(frame["timestamp"]), frame["equity"].to_numpy(np.float64), []
    stopped = run.result["events"].get("stopped")
    if stopped is not None:
        alive = ts <= pd.Timestamp(stopped).value
        ts, equity = ts[alive], equity[alive]
        notes.append(f"of its returns nothing after {stopped} counts: the drawdown limit had stopped the run's account")
    return daily_returns(daily_equity(ts, equity, float(run.config.account.cash), calendar)), notes


def _days_of(ledger: Ledger, calendar: Calendar) -> F8:
    """(D,) daily returns; a last day that is not over is left out, for it will be another number tomorrow."""
    returns = daily_returns(daily_equity(ledger.ts, ledger.equity, ledger.opening_equity, calendar))
    unfinished = calendar.weekends and not calendar.bars and ledger.ts[-1] % DAY
    return returns[:-1] if unfinished else returns


def _sheet(name: str, reference: Mapping[str, F8], recent: Mapping[str, F8], against: str) -> Sheet:
    return Sheet(
        name=name,
        columns=tuple(reference),
        reference=np.column_stack(list(reference.values())),
        recent=np.column_stack([recent[column] for column in reference]),
        against=against,
    )


def _halves(frame: pd.DataFrame, name: str, rows: npt.NDArray[np.bool_], since: int, skip: int, against: str) -> Sheet:
    """`frame` as a sheet: its `rows` against those that close after `since`, of which the first `skip` are left out."""
    closes = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
    values = frame.to_numpy(np.float64)
    begins = int(np.searchsorted(closes, since, side="right"))
    return Sheet(
        name=name,
        columns=tuple(map(str, frame.columns)),
        reference=values[rows],
        recent=values[begins + skip :],
        against=against,
    )


def _inside(closes: I8, tested: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Which rows close from the first to the last of `tested`."""
    return (closes >= tested[0]) & (closes <= tested[1])


def _market_sheet(market: Market, since: int, tested: tuple[int, int]) -> Sheet:
    """What the market did at each close: indicator-free, so that it says the same of every policy."""
    from wfbt.policy.frames import market_frames

    parts, seen = [], set()
    for one, frame in zip(market.instruments, market_frames(market).values(), strict=True):
        bars = one.bars
        step = np.append(np.nan, np.diff(np.log(bars.close)))
        # A return across a hole is not of one bar.
        step[1:][np.diff(bars.open_ts) != bars.period] = np.nan
        columns = {
            f"{one.symbol} return": step,
            f"{one.symbol} size": np.abs(step),
            f"{one.symbol} range": np.log(bars.high / bars.low),
        }
        if one.volume == "units" and bars.volume.any():
            columns[f"{one.symbol} volume"] = np.log1p(bars.volume / np.median(bars.volume[bars.volume > 0]))
        if one.funding is not None:
            columns[f"{one.symbol} funding"] = frame["funding"].to_numpy(np.float64)
        for series in market.series:
            if series.symbol in (None, one.symbol) and series.name not in seen:
                seen.add(series.name)
                columns |= {name: frame[name].to_numpy(np.float64) for name in series.names}
        parts.append(pd.DataFrame(columns, index=frame.index))
    frame = pd.concat(parts, axis=1).sort_index()
    closes = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
    return _halves(frame, "market", _inside(closes, tested), since, 0, "the judged rows of the run")


def _features_sheet(
    views: Mapping[str, View], study: Study | Portfolio, fold: Fold, since: int, gap: int, tested: tuple[int, int]
) -> Sheet | None:
    """What the networks of the policy observe; None where no network decides.

    A distance does not change when both samples are moved and scaled alike, so the numbers before their normalisation
    say what those after it would.
    """
    parts: dict[str, pd.Series[float]] = {}
    warmup, taught = 0, False
    for name, policy in rules_in(study).items():
        frames = views[name].frames
        for network in networks_of(policy).values():
            warmup, taught = max(warmup, network.spec.warmup), taught or isinstance(network, Taught)
            for symbol, values in network.spec.matrix(frames).items():
                for k, feature in enumerate(network.spec.names):
                    parts[f"{symbol} {feature}"] = pd.Series(values[:, k], index=frames[symbol].index)
    if not parts:
        return None
    frame = pd.DataFrame(parts).sort_index()
    closes = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
    deck = study.deck
    if taught:
        rows = np.isin(closes, training_times(deck, fold))
        against = "the training rows of the run's last fold, which its network was made for"
    else:
        rows = _inside(closes, tested)
        against = "the judged rows of the run: the model was trained before them"
    return _halves(frame, "features", rows, since, warmup if gap > deck.period else 0, against)


def _told_sheet(one: Judged) -> dict[str, Any]:
    nulls = {"p": one.p, "block": one.block, "resamples": one.resamples}
    return {
        "name": one.name,
        "against": one.against,
        "verdict": one.verdict,
        **nulls,
        "rows": {"reference": one.reference, "new": one.recent},
        "lines": [
            {
                "column": line.column,
                "statistic": line.statistic,
                "value": line.value,
                "expected": line.expected,
                "p": line.p,
                "p_alone": line.alone,
                "verdict": line.verdict,
                "reasons": dict.fromkeys(("value", "expected", "p", "p_alone"), line.why_not) if line.why_not else {},
            }
            for line in one.lines
        ],
        "reasons": {
            **({"verdict": one.why_not} if one.why_not else {}),
            **{key: one.why_not for key, value in nulls.items() if value is None},
        },
    }


def _told_habits(reference: Ledger, live: Ledger, period: int) -> dict[str, Any]:
    before, after = (habits(actions(one), one.ts, period) for one in (reference, live))
    return {
        name: {"reference": asdict(before[name]), "new": asdict(after[name])} for name in before if name in after
    }  # fmt: skip


def _told_falls(found: Fallen, watch: Watch, shift: float, calendar: Calendar) -> dict[str, Any]:
    design = found.design
    told: dict[str, Any] = {
        "verdict": found.verdict,
        "observed": found.observed,
        "fall": watch.fall,
        "shift": shift,
        "highest": found.highest,
        "alarm": found.alarm,
    }
    names = ("mean", "deviation", "threshold", "false_alarm", "horizon", "detected", "delay", "block", "resamples", "n")
    told |= {name: None if design is None else getattr(design, name) for name in names}
    told["delay_of_normals"] = None if design is None else run_length(design.threshold, shift / 2.0, shift)
    reasons = {} if design is not None else dict.fromkeys((*names, "delay_of_normals"), found.why_not)
    if design is not None and design.delay is None:
        reasons["delay"] = design.why_not
    if found.highest is None:
        reasons["highest"] = found.why_not
    if found.alarm is None:
        reasons["alarm"] = found.why_not or "the sum has not reached its threshold"
    return told | {"days_a_year": calendar.periods_per_year, "reasons": reasons}
