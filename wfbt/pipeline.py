"""From a strategy file to a run folder: the only module that knows every package."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wfbt.assembly import (
    buy_and_hold,
    dropped_note,
    matrix_of,
    moved_plan,
    rules_in,
    seen_from,
    short_of,
    untiered,
)
from wfbt.checks import effort, naming, subjects, walked
from wfbt.config import schema
from wfbt.config.load import dump_yaml
from wfbt.errors import ConfigError, LeakError, PolicyError, TrialsError, WfbtError
from wfbt.features.market_regimes import regime_plan
from wfbt.files import sync_folder
from wfbt.ledger.chain import Chain
from wfbt.ledger.ledger import Ledger
from wfbt.manifests import manifest_of
from wfbt.networks import networks_section
from wfbt.planning import Planned, planned
from wfbt.policies import networks_of
from wfbt.policy.taught import Taught
from wfbt.registry.looks import cell_looks, look_of
from wfbt.registry.memory import only_one
from wfbt.registry.trials import Trials, told
from wfbt.report.artifacts import write_frame, write_json, write_text
from wfbt.results import result_dict
from wfbt.setups import scenarios_of
from wfbt.simulation.section import simulations
from wfbt.tables import candidates_frame, equity_frame, judged_days
from wfbt.training import teach_folds
from wfbt.validation.again import Ran
from wfbt.validation.capacity import capacity_section
from wfbt.validation.decay import decay_section
from wfbt.validation.decision_time import decision_time
from wfbt.validation.gauntlet import gauntlet
from wfbt.validation.luck import overfitting_section
from wfbt.validation.rerun import rerun
from wfbt.validation.robustness.suite import Moved, robustness
from wfbt.validation.sleeves import Portfolio
from wfbt.validation.stress import stress_section
from wfbt.validation.walk_forward import Study, WalkForward

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
    written : bool
        Whether this walk wrote the folder; False where that of the same run, with its report, was there and stayed.
    """

    run_id: str
    folder: Path
    config: schema.Strategy
    walk: WalkForward
    benchmark: Ledger
    written: bool
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
    models: str | os.PathLike[str] | None = None,
    progress: Progress = lambda what, done, total: None,
    command: Sequence[str] = (),
) -> RunResult:
    """Walk a strategy file forward and write its run folder into `out` (default: reports).

    The folder appears whole or not at all.  Until then the run works beside it in a folder ending in .partial, whose
    finished folds `resume` takes up.  Networks that the folds train are kept in `models` (default: models), where what
    wfbt train left is found.  The same inputs give the same bytes, on any number of threads.
    """
    asked = planned(strategy, folds=folds, scheme=scheme, seed=seed, overrides=overrides, out=out, jobs=jobs,
                    models=models, progress=progress)  # fmt: skip
    return carry_out(asked, resume=resume, report=report, progress=progress, command=command)


def carry_out(
    asked: Planned,
    *,
    resume: bool = False,
    report: bool = True,
    progress: Progress = lambda what, done, total: None,
    command: Sequence[str] = (),
) -> RunResult:
    """Make a planned run and write its folder."""
    strategy, config, market, study, plan = asked.strategy, asked.config, asked.market, asked.study, asked.plan
    final, trials, jobs, begun = asked.final, asked.trials, asked.jobs, asked.begun
    partial = final.with_name(final.name + ".partial")
    for place in (final, partial):
        if place.exists() and not place.is_dir():
            raise ConfigError(f"{place} is a file where the run folder must go; move it away, or name another --out")
    with only_one(final.with_name(f".{final.name}.lock")), naming(strategy), _cleared_when_refused(partial):
        Trials.check_place(trials)
        loaded = time.monotonic()
        teach_folds(config, study, plan, asked.store, jobs, progress)
        walk = walked(study, plan, partial / ".trials", resume, progress)
        walked_at = time.monotonic()
        progress("looking for leaks", 0, 0)
        verdict = gauntlet(subjects(study, walk), effort(config, study, walk), config.seed, jobs, progress)
        if verdict.leak is not None:
            raise LeakError(
                f"{os.fspath(strategy)}: {verdict.leak}; nothing was written; wfbt check lookahead "
                f"{os.fspath(strategy)} shows it again"
            )
        looked = time.monotonic()
        again, decides = rerun(study, walk, config.seed), decision_time(study, walk)
        places = itertools.count(1)
        pairs = matrix_of(
            config,
            study,
            lambda folds: walked(study, folds, partial / ".trials" / f"matrix{next(places)}", resume, progress),
        )
        benchmark = buy_and_hold(study, config, plan)
        for ledger in (walk.ledger, benchmark, *(one.in_sample for one in walk.folds)):
            ledger.reconcile()
        replayed = time.monotonic()
        robust = _robustness(config, study, walk, partial / ".trials", resume, progress)
        questioned = time.monotonic()
        result = result_dict(asked.run_id, config, market, study, walk, benchmark, verdict, pairs, robust)
        result["notes"] += dropped_note(asked.dropped) + short_of(config, market) + untiered(config)
        # Before anything can be seen: a run that is killed from here on has looked, and looks again as the same look.
        look = look_of(asked.run_id, asked.identity, market, walk, result)
        result["trials"] = told(Trials.open(trials, create=True), look, cell_looks(look, asked.identity, result))
        result["overfitting"] = overfitting_section(walk, benchmark, config.seed, result["trials"]["looks_by_anyone"])
        progress("stress, capacity and decay", 0, 0)
        ran = Ran.of(study, walk, config.seed)
        result |= _hardship(config, ran, benchmark, jobs) | networks_section(study, walk, benchmark, config.seed)
        put_through = time.monotonic()
        result = _simulated(config, ran, result, jobs, progress)
        simulated = time.monotonic()
        for leftover in partial.iterdir():
            if leftover.name != ".trials":
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        _write_tables(partial, walk, benchmark, study)
        write_text(partial / "config.resolved.yaml", dump_yaml(seen_from(config, final)))
        if report:
            _write_report(partial, config, result, walk, benchmark, jobs, progress)
        done = time.monotonic()
        result["timing"] = {
            "load_s": round(loaded - begun, 3),
            "walk_forward_s": round(walked_at - loaded + replayed - looked, 3),
            "leakage_s": round(looked - walked_at, 3),
            "robustness_s": round(questioned - replayed, 3),
            "hardship_s": round(put_through - questioned, 3),
            "monte_carlo_s": round(simulated - put_through, 3),
            "report_s": round(done - simulated, 3),
            "total_s": round(done - begun, 3),
            "decision": decides,
        }
        write_json(partial / "result.json", result)
        shutil.rmtree(partial / ".trials")
        manifest = manifest_of(
            config, asked.policies, market, asked.identity, result,
            command=command, strategy_sha256=asked.strategy_sha256, again=again, folder=partial, final=final,
        )  # fmt: skip
        write_json(partial / "manifest.json", manifest)
        stays = not report and (final / "result.json").exists() and (final / "index.html").exists()
        if stays:
            shutil.rmtree(partial)  # the same run is there already, with its report
        else:
            _publish(partial, final)
    return RunResult(
        run_id=asked.run_id, folder=final, config=config, walk=walk, benchmark=benchmark, written=not stays,
        _result=result,
    )  # fmt: skip


def _hardship(config: schema.Strategy, ran: Ran, benchmark: Ledger, jobs: int) -> dict[str, Any]:
    """What the account does on bad days and with more money, and how long its signals last: keys of result.json."""
    out = {}
    if config.stress is not None:
        out["stress"] = stress_section(
            ran, benchmark, scenarios_of(config), config.mandate.max_stress_loss, history=config.stress.history,
            jobs=jobs,
        )  # fmt: skip
    if config.capacity is not None:
        out["capacity"] = capacity_section(ran.walk.decided, config.capacity.sizes, jobs)
    if config.decay is not None:
        out["decay"] = decay_section(ran, config.decay.lags, config.decay.resamples)
    return out


def _simulated(
    config: schema.Strategy, ran: Ran, result: dict[str, Any], jobs: int, progress: Progress
) -> dict[str, Any]:
    """`result` with what simulated markets and resampled days came to."""
    if config.monte_carlo is None:
        return result
    plan = regime_plan(config.regimes, config.seed)
    found = simulations(config.monte_carlo, ran, plan, config.mandate.max_drawdown, jobs, progress)
    reasons = result["reasons"] if found.ruin is not None else result["reasons"] | {"ruin": found.why_no_ruin}
    return result | {"monte_carlo": found.monte_carlo, "ruin": found.ruin, "reasons": reasons}


def _robustness(
    config: schema.Strategy, study: Study | Portfolio, walk: WalkForward, kept: Path, resume: bool, progress: Progress
) -> dict[str, Any] | None:
    """The section of result.json; None where the strategy asks for none.

    Nothing that is replayed here is chosen from, so it is no look.
    """
    if config.robustness is None:
        return None
    scheme = config.folds.scheme
    if scheme not in ("rolling", "anchored"):
        why = f"folds.scheme {scheme} has no test windows that follow each other and could be moved"
        return robustness(config.robustness, study, walk, config.seed, why, progress)
    if any(isinstance(one, Taught) for policy in rules_in(study).values() for one in networks_of(policy).values()):
        why = "moved folds have other training rows, on which every network would be trained anew"
        return robustness(config.robustness, study, walk, config.seed, why, progress)
    moved = []
    for place, share in enumerate(config.robustness.offsets, start=1):

        def told(what: str, done: int, total: int, share: float = share) -> None:
            progress(f"robustness: borders {share:.0%} of a test window later: {what}", done, total)

        try:
            folds = moved_plan(config, study, share)
            ledger = walked(study, folds, kept / f"offset{place}", resume, told).ledger
        except (ConfigError, PolicyError) as error:  # the run itself was walked, so this is no mistake of its strategy
            moved.append(Moved(share=share, ledger=None, why=str(error)))
        else:
            moved.append(Moved(share=share, ledger=ledger))
    return robustness(config.robustness, study, walk, config.seed, moved, progress)


@contextmanager
def _cleared_when_refused(partial: Path) -> Iterator[None]:
    """Leave no folder behind a run that was refused: mended, it will have another id and could never resume it."""
    try:
        yield
    except TrialsError:
        raise  # nothing is wrong with the run: its folds are good once the ledger is
    except WfbtError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


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


def _write_tables(folder: Path, walk: WalkForward, benchmark: Ledger, study: Study | Portfolio) -> None:
    write_frame(folder / "equity.parquet", equity_frame(walk, benchmark))
    write_frame(folder / "daily.parquet", judged_days(walk, benchmark))
    write_frame(folder / "fills.parquet", walk.ledger.fills_frame())
    write_frame(folder / "trades.parquet", walk.ledger.trades())
    write_frame(folder / "orders.parquet", walk.ledger.orders_frame())
    write_frame(folder / "events.parquet", walk.ledger.events_frame())
    write_frame(folder / "liquidations.parquet", walk.ledger.liquidations_frame())
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
    from wfbt.tables import curves_of, daily_frame

    daily = daily_frame(walk.ledger, benchmark)
    sheets = []
    if config.report.tearsheets != "none":
        sheets.append(Sheet(path=folder / "tearsheet.html", title=f"{config.name} — out of sample", daily=daily))
    if config.report.tearsheets == "all":
        for number, one in enumerate(walk.folds, start=1):
            if isinstance(one.out_of_sample, Chain):
                continue  # parts of several accounts make no tearsheet
            part = daily_frame(one.out_of_sample, _same_rows(benchmark, one.out_of_sample))
            title = f"{config.name} — fold {number} of {len(walk.folds)}, out of sample"
            sheets.append(Sheet(path=folder / "folds" / f"{number:02d}" / "tearsheet.html", title=title, daily=part))
    write_sheets(
        sheets, round(walk.ledger.calendar.periods_per_year), jobs, lambda n: progress("tearsheets", n, len(sheets))
    )
    curves, trades = curves_of(walk, benchmark, daily), walk.ledger.trades()
    write_text(folder / "index.html", render_index(result, curves, trades, config.report.tearsheets))


def _same_rows(benchmark: Ledger, part: Ledger) -> Ledger:
    """The rows of the benchmark that a part of the stitched account covers."""
    return benchmark.slice(int(part.ts[0]) - 1, int(part.ts[-1]))
