"""From a strategy file to a run folder: the only module that knows every package."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wfbt.compute import cores
from wfbt.config import schema
from wfbt.config.load import dump_yaml, load_strategy, resolved
from wfbt.data.load import load_market
from wfbt.data.market import DAY, Market
from wfbt.engine.account import Account, Exits, Limits, Sizing
from wfbt.engine.backtest import replay_ledger, rules_of
from wfbt.engine.costs import Costs, Impact
from wfbt.engine.intents import Lowering
from wfbt.engine.latency import Delay, Latency
from wfbt.engine.tape import Deck, lay_out
from wfbt.errors import ConfigError, PolicyError, WfbtError
from wfbt.files import sync_folder
from wfbt.kernels.abi import Rules
from wfbt.ledger.ledger import Ledger
from wfbt.policy.base import Columns, Rule, load_rule
from wfbt.policy.frames import market_frames
from wfbt.policy.search import candidates
from wfbt.registry import provenance
from wfbt.registry.memory import fold_memory, only_one
from wfbt.report.artifacts import write_frame, write_json, write_text
from wfbt.results import candidates_frame, equity_frame, result_dict
from wfbt.validation.folds import Fold, over_time
from wfbt.validation.walk_forward import Study, WalkForward, rows_of, walk_forward

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunResult:
    """A finished run.

    Attributes
    ----------
    run_id : str
        Hash of everything that decides the numbers.
    folder : Path
        The run folder, complete.
    config : Strategy
    walk : WalkForward
    benchmark : Ledger
        Buy-and-hold over the same rows from the same cash, with costs.
    """

    run_id: str
    folder: Path
    config: schema.Strategy
    walk: WalkForward
    benchmark: Ledger
    _result: Mapping[str, Any]

    @property
    def ledger(self) -> Ledger:
        """The stitched out-of-sample account."""
        return self.walk.ledger

    @property
    def folds(self) -> Sequence[Any]:
        """One FoldResult per fold."""
        return self.walk.folds

    def to_dict(self) -> dict[str, Any]:
        """The content of result.json."""
        return dict(self._result)


def run(
    strategy: str | os.PathLike[str],
    *,
    folds: int | None = None,
    scheme: str | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    resume: bool = False,
    report: bool = True,
    progress: Progress = lambda what, done, total: None,
    command: Sequence[str] = (),
) -> RunResult:
    """Walk a strategy file forward and write its run folder into `out` (default: reports).

    The folder appears whole or not at all.  Until then the run works beside it in a folder ending in .partial, whose
    finished folds `resume` takes up.  The same inputs give the same bytes, on any number of threads.
    """
    begun = time.monotonic()
    config = load_strategy(strategy, overrides=overrides, folds=folds, scheme=scheme, seed=seed)
    jobs = jobs or cores()
    with _naming(strategy):
        rule = load_rule(_rule_name(config), config.base)
        progress("reading the market", 0, 0)
        market = _market(config)
        study, plan, dropped = _study(config, market, rule, jobs)
    identity = {
        "config": _identity(config),
        "data": market.digest,
        "rule": rule.source_sha256,
        "source": provenance.source_sha256(),
        "versions": provenance.versions(),
    }
    run_id = provenance.run_id(identity)
    final = Path(out or "reports") / f"{config.name}-{run_id}"
    partial = final.with_name(final.name + ".partial")
    for place in (final, partial):
        if place.exists() and not place.is_dir():
            raise ConfigError(f"{place} is a file where the run folder must go; move it away, or name another --out")
    with only_one(final.with_name(f".{final.name}.lock")), _naming(strategy), _cleared_when_refused(partial):
        loaded = time.monotonic()
        walk = walk_forward(
            study,
            plan,
            fold_memory(partial / ".trials", resume),
            progress,
        )
        benchmark = _buy_and_hold(study, config, plan)
        for ledger in (walk.ledger, benchmark, *(one.in_sample for one in walk.folds)):
            ledger.reconcile()
        replayed = time.monotonic()
        result = result_dict(run_id, config, market, study, walk, benchmark)
        result["notes"] += _dropped(dropped) + _short_of(config, market)
        if config.trials is not None:
            result["notes"].append("trials: looks are not counted by this version")
        for leftover in partial.iterdir():
            if leftover.name != ".trials":
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        _write_tables(partial, walk, benchmark, study)
        write_text(partial / "config.resolved.yaml", dump_yaml(_from_folder(config, final)))
        write_json(partial / "manifest.json", _manifest(config, rule, market, identity, run_id, result, command))
        if report:
            _write_report(partial, config, result, walk, benchmark, jobs, progress)
        done = time.monotonic()
        result["timing"] = {
            "load_s": round(loaded - begun, 3),
            "walk_forward_s": round(replayed - loaded, 3),
            "report_s": round(done - replayed, 3),
            "total_s": round(done - begun, 3),
        }
        write_json(partial / "result.json", result)
        shutil.rmtree(partial / ".trials")
        if not report and (final / "result.json").exists() and (final / "index.html").exists():
            shutil.rmtree(partial)  # the same run is there already, with its report
        else:
            _publish(partial, final)
    return RunResult(run_id=run_id, folder=final, config=config, walk=walk, benchmark=benchmark, _result=result)


@contextmanager
def _naming(strategy: str | os.PathLike[str]) -> Iterator[None]:
    """Put the strategy file's name before what is wrong with it."""
    try:
        yield
    except (ConfigError, PolicyError) as error:
        text, name = str(error), os.fspath(strategy)
        raise (error if text.startswith(name) else type(error)(f"{name}: {text}")) from error


@contextmanager
def _cleared_when_refused(partial: Path) -> Iterator[None]:
    """Leave no folder behind a run that was refused: mended, it will have another id and could never resume it."""
    try:
        yield
    except WfbtError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _manifest(
    config: schema.Strategy,
    rule: Rule,
    market: Market,
    identity: Mapping[str, Any],
    run_id: str,
    result: Mapping[str, Any],
    command: Sequence[str],
) -> dict[str, Any]:
    """What it takes to know that two runs are the same, and to run this one again."""
    return {
        "run_id": run_id,
        "name": config.name,
        "command": list(command),
        "seed": config.seed,
        "config_sha256": provenance.sha256(json.dumps(identity["config"], sort_keys=True).encode()),
        "data_sha256": market.digest,
        "source_sha256": identity["source"],
        "rule": {"name": rule.name, "sha256": rule.source_sha256},
        "versions": identity["versions"],
        "machine": provenance.machine(),
        "notes": result["notes"],
    }


def _publish(partial: Path, final: Path) -> None:
    """Put the finished folder in its place, an older run of the same id aside and away."""
    old = final.with_name(f".{final.name}.old")
    if old.exists():
        shutil.rmtree(old)
    if final.exists():
        os.rename(final, old)
    os.rename(partial, final)
    sync_folder(final.parent)
    if old.exists():
        shutil.rmtree(old)


FILES = ("bars", "funding", "mark", "execution_bars")


def _identity(config: schema.Strategy) -> dict[str, Any]:
    """The strategy without the places of its files: what they hold is hashed instead."""
    tree = resolved(config)
    for symbol in tree["data"]["symbols"].values():
        for key in FILES:
            symbol[key] = symbol[key] is not None
    tree["policy"]["rule"] = tree["policy"]["rule"].rpartition(":")[2]
    for delay in tree["latency"].values():
        if isinstance(delay, dict) and delay.get("file"):
            delay["file"] = _measured(config.locate(delay["file"]))
    del tree["trials"]
    return tree


def _from_folder(config: schema.Strategy, folder: Path) -> dict[str, Any]:
    """The resolved strategy with paths as they are seen from the run folder, so that it can be run there again."""
    tree, real = resolved(config), os.path.realpath(folder)

    def seen(path: str) -> str:
        return path if "://" in path else os.path.relpath(os.path.realpath(config.locate(path)), real)

    for symbol in tree["data"]["symbols"].values():
        for key in FILES:
            symbol[key] = symbol[key] and seen(symbol[key])
    for delay in tree["latency"].values():
        if isinstance(delay, dict) and delay.get("file"):
            delay["file"] = seen(delay["file"])
    place, colon, attr = tree["policy"]["rule"].rpartition(":")
    if colon and (place.endswith(".py") or "/" in place):
        tree["policy"]["rule"] = f"{seen(place)}:{attr}"
    return tree


def _rule_name(config: schema.Strategy) -> str:
    if config.policy.rule is None:
        raise ConfigError("policy needs a rule")
    return config.policy.rule


def _market(config: schema.Strategy) -> Market:
    symbols: dict[str, dict[str, Any]] = {}
    for name, given in config.data.symbols.items():
        paths = {
            key: config.locate(path)
            for key in ("bars", "funding", "mark", "execution_bars")
            if (path := getattr(given, key)) is not None
        }
        symbols[name] = {
            **paths,
            "contract": given.contract.model_dump(),
            "impact": given.impact,
            "volume": given.volume,
            "adv": given.adv,
        }
    repair = [_selection(one, accept=False) for one in config.quality.repair]
    repair += [_selection(one, accept=True) for one in config.quality.accept]
    return load_market(
        symbols,
        start=pd.Timestamp(int(config.data.start), unit="ns", tz="UTC"),
        end=pd.Timestamp(int(config.data.end), unit="ns", tz="UTC"),
        max_missing=config.quality.max_missing,
        repair=repair,
    )


def _selection(given: schema.Selection, *, accept: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"rule": given.finding, "accept": accept}
    if given.symbol is not None:
        out["symbol"] = given.symbol
    for key, moment in (("from", given.start), ("to", given.end)):
        if moment is not None:
            out[key] = pd.Timestamp(int(moment), unit="ns", tz="UTC")
    return out


def _delay(given: Any, base: schema.Strategy) -> Delay:
    if isinstance(given, schema.Uniform):
        return Delay(model="uniform", low=float(given.low), high=float(given.high))
    if isinstance(given, schema.Lognormal):
        return Delay(model="lognormal", median=float(given.median), sigma=given.sigma)
    if isinstance(given, schema.Empirical):
        samples = given.samples if given.samples is not None else _measured(base.locate(str(given.file)))
        return Delay(model="empirical", samples=tuple(float(ns) for ns in samples))
    return Delay(low=float(given.value), high=float(given.value))


def _measured(path: str) -> list[float]:
    """Delays in ms, one a line, as a user's own measurements come."""
    try:
        lines = Path(path).read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"latency file {path}: {error}") from error
    try:
        return [float(line) * 1e6 for line in lines]
    except ValueError as error:
        raise ConfigError(f"latency file {path}: one delay in ms a line is expected: {error}") from error


def _dropped(count: int) -> list[str]:
    return [f"{count} candidates of the search were dropped: the rule calls them invalid"] if count else []


def _short_of(config: schema.Strategy, market: Market) -> list[str]:
    """Where the files end before the strategy's span does."""
    notes = []
    for one in market.instruments:
        begins, ends = int(one.bars.open_ts[0]), int(one.bars.close_ts[-1])
        if begins - int(config.data.start) > DAY or int(config.data.end) - ends > DAY:
            span = " to ".join(f"{pd.Timestamp(ts, tz='UTC'):%Y-%m-%d}" for ts in (begins, ends))
            notes.append(f"{one.symbol}: its bars cover {span}, less than data.start to data.end")
    return notes


def _study(config: schema.Strategy, market: Market, rule: Rule, jobs: int) -> tuple[Study, list[Fold], int]:
    costs = Costs(
        maker_bps=config.costs.maker_bps,
        taker_bps=config.costs.taker_bps,
        half_spread_bps=config.costs.half_spread_bps,
        impact=Impact(
            temporary=config.costs.impact.temporary,
            permanent=config.costs.impact.permanent,
            horizon=int(config.costs.impact.horizon),
        )
        if config.costs.impact
        else None,
    )
    latency = Latency(
        order=_delay(config.latency.order, config),
        feed=_delay(config.latency.feed, config),
        response=_delay(config.latency.response, config),
        adverse=config.latency.adverse,
    )
    account = _account(config)
    limits = Limits(
        max_daily_loss=config.limits.max_daily_loss,
        max_drawdown=config.limits.max_drawdown,
        losses=config.limits.cooldown.losses if config.limits.cooldown else None,
        cool_down=config.limits.cooldown.bars * market.period if config.limits.cooldown else 0,
        max_leverage=config.limits.max_leverage,
    )
    sizing = Sizing(**{name: getattr(config.sizing, name) for name in type(config.sizing).model_fields})
    exits = Exits(
        atr=config.exits.atr,
        stop_atr=config.exits.stop_atr,
        take_atr=config.exits.take_atr,
        trail_atr=config.exits.trail_atr,
        stop_pct=config.exits.stop_pct,
        take_pct=config.exits.take_pct,
        time=config.exits.time and int(config.exits.time),
    )
    deck = lay_out(market, costs, latency, account.maintenance, config.seed)
    rules = rules_of(account, costs, latency, sizing, exits, limits, deck.horizon)
    plan = _plan(config, deck)
    search = {
        key: given.model_dump() if isinstance(given, schema.Range) else list(given)
        for key, given in config.policy.search.items()
    }
    found = candidates(config.policy.params, search, valid=rule.is_valid)
    study = Study(
        deck=deck,
        frames=market_frames(market),
        rule=rule,
        candidates=found.params,
        lowering=Lowering(market, deck, sizing, exits),
        rules=rules,
        objective=config.folds.objective,
        jobs=jobs,
    )
    return study, plan, found.dropped


def _account(config: schema.Strategy) -> Account:
    return Account(
        cash=config.account.cash,
        leverage=config.account.leverage,
        margin=config.account.margin,
        maintenance=config.account.maintenance,
        liquidation_fee_bps=config.account.liquidation_fee_bps,
    )


def _plan(config: schema.Strategy, deck: Deck) -> list[Fold]:
    close = deck.close_ts
    auto = "auto"
    purge = 0 if config.folds.purge == auto else int(config.folds.purge)
    return over_time(
        close - deck.period,
        int(close[-1]),
        config.folds.count,
        int(config.folds.train),
        None if config.folds.test == auto else int(config.folds.test),
        purge,
        int(config.folds.embargo),
        scheme=config.folds.scheme,
    )


def _buy_and_hold(study: Study, config: schema.Strategy, plan: Sequence[Fold]) -> Ledger:
    """All cash into the symbols in equal parts at the first test bar, held to the last, at the same trading costs.

    Without funding, as a holder of the asset itself would: units of a perpetual held for years through rich funding end
    in liquidation, and a benchmark that dies flatters everything beside it.
    """
    deck = replace(study.deck, stamps=study.deck.stamps[:0])
    first, last = rows_of(plan[0].test)[0], rows_of(plan[-1].test)[1]
    # An inverse account is in the coin: holding it is to hold no contract.
    weight = 0.0 if deck.contracts["inverse"][0] else 1.0 / len(deck.symbols)
    columns = {one.symbol: Columns(target=np.full(len(one.bars), weight)) for one in study.lowering.market.instruments}
    plain = Lowering(study.lowering.market, deck, Sizing(), Exits())
    start = int(deck.decisions[first - 1]) + 1 if first else 0
    stop = int(deck.decisions[last - 1]) + 1
    intents = plain.say(columns).heard_from([start]).between(start, stop)
    account = _account(config)
    rules: Rules = study.rules._replace(
        leverage=float(account.leverage),
        size=0,
        at_fill=False,
        max_position=np.inf,
        band=np.inf,
        time_exit=0,
        daily_loss=np.inf,
        drawdown=np.inf,
        losses=0,
    )
    return replay_ledger(deck, intents, rules, first, last)


def _write_tables(folder: Path, walk: WalkForward, benchmark: Ledger, study: Study) -> None:
    write_frame(folder / "equity.parquet", equity_frame(walk, benchmark))
    write_frame(folder / "fills.parquet", walk.ledger.fills_frame())
    write_frame(folder / "trades.parquet", walk.ledger.trades())
    write_frame(folder / "candidates.parquet", candidates_frame(walk, study))


def _write_report(
    folder: Path,
    config: schema.Strategy,
    result: dict[str, Any],
    walk: WalkForward,
    benchmark: Ledger,
    jobs: int,
    progress: Progress,
) -> None:
    from wfbt.report.page import render_index
    from wfbt.report.sheets import Sheet, write_sheets
    from wfbt.results import curves_of, daily_frame

    daily = daily_frame(walk.ledger, benchmark)
    sheets = []
    if config.report.tearsheets != "none":
        sheets.append(Sheet(path=folder / "tearsheet.html", title=f"{config.name} — out of sample", daily=daily))
    if config.report.tearsheets == "all":
        for number, one in enumerate(walk.folds, start=1):
            part = daily_frame(one.out_of_sample, _same_rows(benchmark, one.out_of_sample))
            title = f"{config.name} — fold {number} of {len(walk.folds)}, out of sample"
            sheets.append(Sheet(path=folder / "folds" / f"{number:02d}" / "tearsheet.html", title=title, daily=part))
    write_sheets(
        sheets, round(walk.ledger.calendar.periods_per_year), jobs, lambda n: progress("tearsheets", n, len(sheets))
    )
    write_text(folder / "index.html", render_index(result, curves_of(walk, benchmark, daily), walk.ledger.trades()))


def _same_rows(benchmark: Ledger, part: Ledger) -> Ledger:
    """The rows of the benchmark that a part of the stitched account covers."""
    return benchmark.slice(int(part.ts[0]) - 1, int(part.ts[-1]))
