"""The command line.  Heavy imports happen inside commands, so --help is instant."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from wfbt import __version__
from wfbt.errors import WfbtError

INTERRUPTED, INTERNAL = 130, 70


class Reporting(click.Group):
    """A group whose commands end in one clear line and the exit code that belongs to it, never in a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        words = kwargs.pop("args", args[0] if args else None)
        given = list(sys.argv[1:] if words is None else words)
        debug = "--debug" in given
        kwargs["standalone_mode"] = False
        try:
            # Taken out here, so that it may stand behind a command too.
            code = super().main([word for word in given if word != "--debug"], **kwargs)
        except (click.exceptions.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except SystemExit as left:
            # Click leaves with 1, our "gate failed", when whoever read our output has gone.
            sys.exit(INTERNAL if left.code == 1 else left.code)
        except WfbtError as error:
            if debug:
                raise
            click.echo(_plain(f"{type(error).__name__}: {error}"), err=True)
            sys.exit(error.exit_code)
        except Exception as error:
            if debug:
                raise
            kind = type(error).__name__
            click.echo(
                _plain(f"internal error: {kind}: {error}") + "\nthis is a fault of wfbt; --debug shows where", err=True
            )
            sys.exit(INTERNAL)
        sys.exit(code if isinstance(code, int) else 0)


def _plain(text: str) -> str:
    """Text that steers no terminal: a message may quote whatever was in a file."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "�" for letter in text)


@click.group(cls=Reporting, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="wfbt")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Replay trading strategies honestly, fold after fold, and write down what came of it."""


@main.command()
@click.argument("strategy", type=click.Path(path_type=Path))
@click.option("--folds", type=click.IntRange(min=1), help="Number of test windows.")
@click.option("--scheme", type=click.Choice(["rolling", "anchored", "purged", "cpcv"]), help="How folds are laid.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Override one key of the strategy.")
@click.option("--out", type=click.Path(path_type=Path), help="Where run folders go.  [default: reports]")
@click.option("--models", type=click.Path(path_type=Path), help="Where trained networks are kept.  [default: models]")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@click.option("--resume", is_flag=True, help="Go on with the finished folds of an interrupted run.")
@click.option("--no-report", is_flag=True, help="Numbers only: no tearsheets, no page.")
@click.option(
    "--gate",
    "criteria",
    is_flag=False,
    flag_value="default",
    metavar="[CRITERIA]",
    help="Judge it too: by a file of criteria, or strict, default or research.  [default of this option: default]",
)
@click.option("--first-look", is_flag=True, help="With --gate: declare that nobody saw these days before.")
@click.option("--json", "as_json", is_flag=True, help="Print result.json, with --gate verdict.json, and nothing else.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors and the folder.")
def run(
    strategy: Path,
    folds: int | None,
    scheme: str | None,
    seed: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    models: Path | None,
    jobs: int | None,
    resume: bool,
    no_report: bool,
    criteria: str | None,
    first_look: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Walk STRATEGY forward and write a run folder."""
    from wfbt.pipeline import run as walk

    silent = quiet or as_json
    terms = None
    if criteria is not None:
        from wfbt.gating import terms_of

        built_in = not Path(criteria).exists() and not criteria.endswith((".yaml", ".yml"))
        terms = terms_of(
            profile_name=criteria if built_in else None,
            criteria=None if built_in else Path(criteria),
            first_look=first_look,
        )
    try:
        # A rule may print: what it says is no part of our answer.
        with _Progress(silent) as progress, redirect_stdout(sys.stderr):
            result = walk(
                strategy,
                folds=folds,
                scheme=scheme,
                seed=seed,
                overrides=overrides,
                out=out,
                jobs=jobs,
                resume=resume,
                report=not no_report,
                models=models,
                progress=progress,
                command=["wfbt", *sys.argv[1:]],
            )
    except KeyboardInterrupt:
        click.echo("interrupted; finished folds are kept, go on with --resume", err=True)
        sys.exit(INTERRUPTED)
    if as_json and terms is None:
        click.echo(json.dumps(result.to_dict(), ensure_ascii=False))
        return 0
    if not silent:
        from wfbt.report.tables import terminal_summary

        click.echo(terminal_summary(result.to_dict()))
    page = result.folder / ("result.json" if no_report else "index.html")
    if quiet:
        click.echo(str(result.folder))
    elif not as_json:
        click.echo(f"\nopen {page}")
        if (sheet := result.folder / "tearsheet.html").exists():
            click.echo(f"tearsheet {sheet}")
    if terms is None:
        return 0
    from wfbt.gating import gate_run

    if not silent:
        click.echo("")
    # Folds that were taken up, and a folder that stayed, are of whoever wrote them.
    return _say_verdict(gate_run(result.folder, terms, walked=result.written and not resume), as_json, quiet)


class _Progress:
    """A bar on a terminal, plain lines elsewhere: which fold, how many candidates, how long still."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent
        self._live = sys.stderr.isatty()
        self._bar: Any = None
        self._task: Any = None
        self._begun = time.monotonic()

    def __enter__(self) -> Callable[[str, int, int], None]:
        if not self._silent and self._live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("starting", total=None)
        return self._show

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _show(self, what: str, done: int, total: int) -> None:
        if self._silent:
            return
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=done, total=total or None)
            return
        passed = time.monotonic() - self._begun
        count = f" {done}/{total}" if total else ""
        click.echo(f"[{passed:6.1f} s] {what}{count}", err=True)


@main.command()
@click.argument("strategy", type=click.Path(path_type=Path))
@click.option("--folds", type=click.IntRange(min=1), help="Number of test windows.")
@click.option("--seeds", type=click.IntRange(min=1), help="Networks of each fold.  [default: train.seeds]")
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Override one key of the strategy.")
@click.option("--out", type=click.Path(path_type=Path), help="Where artefacts go.  [default: models]")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes.  [default: all cores]")
@click.option("--board", type=click.Path(path_type=Path), help="Write TensorBoard logs here, if it is installed.")
@click.option("--tune", type=click.IntRange(min=2), help="Only search so many settings on the first training rows.")
@click.option("--json", "as_json", is_flag=True, help="Print the artefacts as JSON.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors and the folders.")
def train(
    strategy: Path,
    folds: int | None,
    seeds: int | None,
    overrides: tuple[str, ...],
    out: Path | None,
    jobs: int | None,
    board: Path | None,
    tune: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train the networks of STRATEGY: those of every fold, and those of the last rows, for use."""
    from wfbt.report.training import trained_table
    from wfbt.training import train as teach

    silent = quiet or as_json
    if tune is not None:
        _tune(strategy, tune, folds, overrides, as_json, silent)
        return
    try:
        with _Progress(silent) as progress, redirect_stdout(sys.stderr):
            found = teach(
                strategy,
                folds=folds,
                seeds=seeds,
                overrides=overrides,
                out=out,
                jobs=jobs,
                board=board,
                progress=progress,
            )
    except KeyboardInterrupt:
        click.echo("interrupted; seeds that are done are kept, and the same command goes on with the others", err=True)
        sys.exit(INTERRUPTED)
    told = [one.to_dict() for one in found]
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    elif quiet:
        click.echo("\n".join(one["folder"] for one in told))
    else:
        click.echo(trained_table(told))


def _tune(
    strategy: Path, trials: int, folds: int | None, overrides: tuple[str, ...], as_json: bool, silent: bool
) -> None:
    """Print the best settings of a search as the --set options that give them."""
    from wfbt.training import tune_first

    with _Progress(silent) as progress, redirect_stdout(sys.stderr):
        found = tune_first(strategy, trials, folds=folds, overrides=overrides, progress=progress)
    if as_json:
        told = {where: {"best": dict(one.best), "score": one.score, "given": one.given} for where, one in found.items()}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    for where, one in found.items():
        click.echo(f"{where}: {one.score:.3f} on the rows kept back, {one.given:.3f} with the settings of the file")
        click.echo(" ".join(f"--set {where}.{key}={json.dumps(value)}" for key, value in one.best.items()))
    click.echo(f"the best of {trials}, each with one seed: better than it will be on rows it was not chosen by")


@main.command()
@click.argument("target", metavar="MODEL|RUN_DIR", type=click.Path(path_type=Path))
@click.option("--strategy", type=click.Path(path_type=Path), help="The strategy that MODEL decides in.")
@click.option("--profile", metavar="NAME", help="Criteria that come with wfbt: strict, default or research.")
@click.option("--criteria", type=click.Path(path_type=Path), help="A file of criteria.  [default: the profile default]")
@click.option("--baseline", type=click.Path(path_type=Path), help="A blessed run folder to compare with.")
@click.option("--trials", type=click.Path(path_type=Path), help="The trial ledger.  [default: that of the run]")
@click.option("--first-look", is_flag=True, help="Declare that nobody saw these days before; the verdict says so.")
@click.option("--sign", type=click.Path(path_type=Path), help="Private Ed25519 key (PEM) to sign the verdict with.")
@click.option("--lock", type=click.Path(path_type=Path), help="Lock file to bind.  [default: requirements.lock, …]")
@click.option("--out", type=click.Path(path_type=Path), help="Where run folders go, and copies of the verdict.")
@click.option("--models", type=click.Path(path_type=Path), help="Where trained networks are kept.  [default: models]")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@click.option("--no-report", is_flag=True, help="Numbers and verdict only: no tearsheets, no page.")
@click.option("--json", "as_json", is_flag=True, help="Print verdict.json and nothing else.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors and the status.")
def gate(
    target: Path,
    strategy: Path | None,
    profile: str | None,
    criteria: Path | None,
    baseline: Path | None,
    trials: Path | None,
    first_look: bool,
    sign: Path | None,
    lock: Path | None,
    out: Path | None,
    models: Path | None,
    jobs: int | None,
    no_report: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Judge a finished run, or a MODEL in its --strategy.  Exit 0 PASS, 1 FAIL, 3 REFUSED, 4 INCONCLUSIVE."""
    from wfbt.errors import ConfigError
    from wfbt.gating import gate_run, is_run, terms_of

    terms = terms_of(
        profile_name=profile, criteria=criteria, baseline=baseline, trials=trials, first_look=first_look, sign=sign,
        lock=lock,
    )  # fmt: skip
    if not target.exists():
        raise ConfigError(f"{target}: no such file or folder; name a run folder, or a model and its --strategy")
    if is_run(target):
        if strategy is not None:
            raise ConfigError(f"--strategy goes with a model, and {target} is a run folder, which holds its own")
        found = gate_run(target, terms, out=out)
    else:
        from wfbt.candidates import gate_model

        if strategy is None:
            raise ConfigError(
                f"{target} is no run folder; with a model give --strategy, and rules are judged by wfbt run --gate"
            )
        with _Progress(quiet or as_json) as progress, redirect_stdout(sys.stderr):
            found = gate_model(
                target, strategy, terms, out=out, store=models, jobs=jobs, report=not no_report, progress=progress,
                command=["wfbt", *sys.argv[1:]],
            )  # fmt: skip
    return _say_verdict(found, as_json, quiet)


def _say_verdict(found: Any, as_json: bool, quiet: bool) -> int:
    """Print a verdict as it was asked for; its exit code."""
    from wfbt.report.verdict import verdict_told

    if as_json:
        click.echo(json.dumps(found.document, ensure_ascii=False))
    elif quiet:
        click.echo(str(found.verdict.status))
    else:
        click.echo(verdict_told(found.verdict))
        click.echo(f"\nverdict {found.folder / 'verdict.json'}")
    return int(found.verdict.exit_code)


@main.command()
@click.argument("run_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("fills", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--within", metavar="DURATION", help="Orders further apart are two, not one.  [default: a bar]")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def reconcile(run_dir: Path, fills: Path, within: str | None, as_json: bool) -> None:
    """Compare a live or paper log, FILLS (CSV, as ccxt exports trades), with the replay in RUN_DIR."""
    from wfbt.config.values import Duration
    from wfbt.errors import ConfigError
    from wfbt.ledger.live import compare, read_run
    from wfbt.ledger.trade_log import read_log
    from wfbt.report.live import live_summary

    try:
        apart = None if within is None else int(Duration.parse(within))
    except ValueError as error:
        raise ConfigError(f"--within: {error}") from error
    replay, log = read_run(run_dir), read_log(fills)
    found = compare(replay, log, apart).to_dict()
    click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False) if as_json else live_summary(found))


@main.command()
@click.argument("run_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("new_data", type=click.Path(path_type=Path))
@click.option("--equity", type=click.Path(path_type=Path), help="Live equity or daily returns, CSV or Parquet.")
@click.option("--level", type=float, default=0.05, show_default=True, help="Chance of any false alarm.")
@click.option("--fall", type=float, default=2.0, show_default=True, help="Fall of annual Sharpe to watch for.")
@click.option("--horizon", type=int, default=365, show_default=True, help="Days that returns are watched.")
@click.option("--models", type=click.Path(path_type=Path), help="Where trained networks are kept.  [default: models]")
@click.option("--out", type=click.Path(path_type=Path), help="Write drift.json and drift.html into this folder.")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
def drift(
    run_dir: Path,
    new_data: Path,
    equity: Path | None,
    level: float,
    fall: float,
    horizon: int,
    models: Path | None,
    out: Path | None,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Compare NEW_DATA (file, folder or strategy) with the rows of RUN_DIR.  Exit 1: drift, 4: too little data."""
    from wfbt.drifting import EXITS, Watch, drift_of
    from wfbt.report.drift import drift_summary, write_drift

    watch = Watch(level=level, fall=fall, horizon=horizon, equity=equity)
    with _Progress(as_json) as progress, redirect_stdout(sys.stderr):
        found = drift_of(run_dir, new_data, watch, models=models, jobs=jobs, progress=progress)
    if out is not None:
        write_drift(out, found, run_dir)
    click.echo(json.dumps(found, ensure_ascii=False, allow_nan=False) if as_json else drift_summary(found))
    if out is not None and not as_json:
        click.echo(f"\nwrote {out / 'drift.html'}")
    return EXITS[found["verdict"]]


@main.command()
@click.argument("family", required=False)
@click.option(
    "--file", type=click.Path(path_type=Path), help="The ledger.  [default: WFBT_TRIALS, reports/trials.sqlite]"
)
@click.option("--merge", "others", multiple=True, metavar="OTHER", type=click.Path(path_type=Path), help="Take it in.")
@click.option("--verify", is_flag=True, help="Read it anew, and look for the heads in the run folders beside it.")
@click.option("--head", "heads", multiple=True, metavar="HASH", help="Exit 3 unless the ledger holds this head.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def trials(
    family: str | None,
    file: Path | None,
    others: tuple[Path, ...],
    verify: bool,
    heads: tuple[str, ...],
    as_json: bool,
) -> int:
    """Show how often each FAMILY looked at out-of-sample data, and its attempts.  Exit 3 on a ledger edited or cut."""
    from wfbt.errors import TrialsError
    from wfbt.registry.families import attempts_of, families, kept_heads, looks_of
    from wfbt.registry.trials import Trials, check_head, ledger_file
    from wfbt.report.trials import attempts_table, families_table, looks_table

    place = ledger_file(file, None)
    wanted = [check_head(head) for head in heads]
    opened = [Trials.open(other) for other in others]
    ledger = Trials.open(place, create=bool(opened))
    for other in opened:
        ledger.merge(other)
    found = ledger.verify([*wanted, *(kept_heads(place.parent).values() if verify else ())]) if verify or wanted else []
    rows = looks_of(ledger, family) if family else families(ledger)
    attempts = attempts_of(ledger, family) if family else []
    if as_json:
        told = {"file": str(place), "entries": len(ledger), "head": ledger.head(), "findings": found}
        click.echo(json.dumps(told | ({"looks": rows, "attempts": attempts} if family else {"families": rows})))
    else:
        click.echo(looks_table(rows) if family else families_table(rows))
        if attempts:
            click.echo(f"\nAttempts at the gate:\n{attempts_table(attempts)}")
        entries = "1 entry" if len(ledger) == 1 else f"{len(ledger):,} entries"
        click.echo(f"\n{entries}, head {ledger.head() or 'none'}")
        if verify and not found:
            click.echo("verified: no entry was edited, and the heads kept in the run folders beside it are there")
        for line in found:
            click.echo(line, err=True)
    return TrialsError.exit_code if found else 0


@main.group()
def data() -> None:
    """Look at market data, or make a sample of it."""


@data.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("datasets/sample"))
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True)
@click.option("--if-absent", is_flag=True, help="Leave a sample that is there as it is.")
def sample(folder: Path, seed: int, if_absent: bool) -> None:
    """Write the sample market into FOLDER, with the truth it was made from beside it."""
    from wfbt.data.book.synthetic import write_books
    from wfbt.data.synthetic import write_sample

    books = folder / "books"
    # What is written last, and what older samples lack.
    there = all((folder / name).exists() for name in ("news.parquet", "SOLUSDT/trades.parquet"))
    if if_absent and there and (books / "truth.json").exists():
        click.echo(f"{folder} is there")
        return
    if not (if_absent and there):
        write_sample(folder, seed=seed)
    write_books(books, seed=seed)
    click.echo(f"wrote {folder}")


@data.command("check")
@click.argument("path")
@click.option("--bbo", help="Compare the book at PATH with these best quotes, message by message.")
@click.option("--tick", type=float, help="Tick of the book at PATH.  [default: what its prices lie on]")
@click.option("--lot", type=float, help="Lot of the book at PATH.  [default: what its quantities lie on]")
@click.option("--all", "everything", is_flag=True, help="List every finding.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as JSON.")
def check_data(
    path: str, bbo: str | None, tick: float | None, lot: float | None, everything: bool, as_json: bool
) -> int:
    """Report what is wrong or odd in the Parquet files at PATH (file, folder or glob).  Exit 5 on errors."""
    from dataclasses import asdict

    from wfbt.data.inspect import check, render_findings, series
    from wfbt.errors import DataError

    if bbo is not None or tick is not None or lot is not None:
        from wfbt.data.book.inspect import check_book

        parts = [path]
        found = {path: check_book(path, Path(path).stem or path, bests=bbo, tick_size=tick, lot_size=lot)}
    else:
        parts = series(path)
        found = {part: check(part) for part in parts}
    if as_json:
        click.echo(json.dumps([{"path": part, **asdict(f)} for part in parts for f in found[part]]))
    else:
        for part in parts:
            title = f"{part}: " if len(parts) > 1 else ""
            click.echo(title + render_findings(found[part], all=everything))
    return DataError.exit_code if any(f.severity == "error" for part in parts for f in found[part]) else 0


@data.command("import")
@click.argument("form", metavar="FORMAT")
@click.argument("sources", nargs=-1, required=True, metavar="SRC...")
@click.option("--symbol", required=True, help="The one symbol to import.")
@click.option("--tick", type=float, help="Tick of the contract.  [default: learned, in a pass of its own]")
@click.option("--lot", type=float, help="Lot of the contract.  [default: learned]")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Gets {book,trades,bbo,depth}/symbol=…/day=…."
)
@click.option("--venue", default="", help="Where it was traded, for the record.  [default: as the format says]")
@click.option("--correct", "corrections", multiple=True, metavar="KEY=VALUE", help="Such as clock_offset=1300ms.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def import_data(
    form: str,
    sources: tuple[str, ...],
    symbol: str,
    tick: float | None,
    lot: float | None,
    out: Path,
    venue: str,
    corrections: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write recorded books, trades and best quotes as compact Parquet, a file a day.

    FORMAT is binance-stream, binance-archive, tardis, lobster, bybit or hftbacktest; SRC are its files in time order,
    plain, gzip or zip.
    """
    from dataclasses import asdict

    from wfbt.data.book.convert import KINDS, import_files
    from wfbt.data.book.corrections import Corrections
    from wfbt.data.inspect import render_findings

    done = import_files(
        form,
        sources,
        out,
        symbol=symbol,
        tick_size=tick,
        lot_size=lot,
        venue=venue,
        corrections=Corrections.parse(_corrections(corrections)),
    )
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    for kind in KINDS:
        for day, rows in done.rows.get(kind, {}).items():
            click.echo(f"{kind} {day}: {rows:,} rows")
        for day in done.kept.get(kind, []):
            click.echo(f"{kind} {day}: there already, from the same sources")
    for note in done.notes:
        click.echo(note)
    if done.findings:
        click.echo(render_findings(done.findings))
    click.echo(f"wrote {out}")


def _corrections(given: tuple[str, ...]) -> dict[str, object]:
    import yaml

    from wfbt.errors import ConfigError

    out: dict[str, object] = {}
    for one in given:
        key, sign, value = one.partition("=")
        if not sign or not key:
            raise ConfigError(f"--correct must be KEY=VALUE, was {one!r}")
        try:
            out[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--correct {key}: {value!r} cannot be read") from error
    return out


@data.command()
@click.argument("path")
@click.option("--all", "everything", is_flag=True, help="List every gap.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def info(path: str, everything: bool, as_json: bool) -> None:
    """Say what the Parquet files at PATH hold: kind, rows, span, period, gaps, digest."""
    from wfbt.data.inspect import info as look
    from wfbt.data.inspect import render_info, series

    found = [look(part) for part in series(path)]
    if as_json:
        click.echo(json.dumps(found if len(found) > 1 else found[0], default=str))
        return
    for number, one in enumerate(found):
        click.echo(
            ("\n" if number else "") + (f"{one['path']}\n" if len(found) > 1 else "") + render_info(one, all=everything)
        )


@main.group()
def check() -> None:
    """Check a strategy without running it."""


@check.command("config")
@click.argument("strategies", metavar="STRATEGY...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Override one key of each strategy.")
@click.option("--quiet", is_flag=True, help="Print nothing but mistakes.")
def check_config(strategies: tuple[Path, ...], overrides: tuple[str, ...], quiet: bool) -> None:
    """Print each STRATEGY as wfbt understands it, every default filled in.  Exit 2 when one has a mistake."""
    from wfbt.config.load import dump_yaml, load_strategy, resolved
    from wfbt.errors import ConfigError

    mistakes = []
    for strategy in strategies:
        try:
            text = dump_yaml(resolved(load_strategy(strategy, overrides=overrides)))
        except ConfigError as error:
            mistakes.append(str(error))
            continue
        if not quiet:
            click.echo(f"--- # {json.dumps(str(strategy))}\n{text}" if len(strategies) > 1 else text)
    if mistakes:
        raise ConfigError("\n".join(mistakes))


@check.command("lookahead")
@click.argument("strategy", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Override one key of the strategy.")
@click.option("--cuts", type=click.IntRange(min=8), help="Decisions to test.  [default: enough for 95%]")
@click.option("--models", type=click.Path(path_type=Path), help="Where trained networks are kept.  [default: models]")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def check_lookahead(
    strategy: Path, overrides: tuple[str, ...], cuts: int | None, models: Path | None, jobs: int | None, as_json: bool
) -> int:
    """Look for decisions of STRATEGY that know what comes after them.  Exit 3 when there is one."""
    from wfbt.checks import check_lookahead as look
    from wfbt.errors import LeakError
    from wfbt.report.leakage import described

    with _Progress(as_json) as progress, redirect_stdout(sys.stderr):
        found = look(strategy, overrides=overrides, cuts=cuts, models=models, jobs=jobs, progress=progress)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        click.echo("\n".join(described(found)))
    return 0 if found["passed"] else LeakError.exit_code


@check.command("warmup")
@click.argument("strategy", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Override one key of the strategy.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-6,
    show_default=True,
    help="Relative difference of numbers that counts as none; decisions have to be equal.",
)
@click.option("--models", type=click.Path(path_type=Path), help="Where trained networks are kept.  [default: models]")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def check_warmup(
    strategy: Path, overrides: tuple[str, ...], tolerance: float, models: Path | None, as_json: bool
) -> None:
    """Say how many bars before a decision it takes until more of them change nothing."""
    from wfbt.checks import check_warmup as look
    from wfbt.report.leakage import warmth

    with _Progress(as_json) as progress, redirect_stdout(sys.stderr):
        found = look(strategy, overrides=overrides, tolerance=tolerance, models=models, progress=progress)
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(warmth(found)))


@main.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--to", required=True, type=click.Choice(["onnx", "safetensors"]), help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder for it.  [default: MODEL-FORMAT]")
@click.option("--trust-pickle", is_flag=True, help="Open MODEL although that runs whatever stands in it.")
def export(model: Path, to: str, out: Path | None, trust_pickle: bool) -> None:
    """Write MODEL, an artefact or a model file, as ONNX or safetensors.  Exit 3 when it is refused."""
    from wfbt.policy.artifact.export import export_model

    if trust_pickle:
        loud = f"--trust-pickle: RUNNING WHATEVER STANDS IN {model}. Stop now unless you made this file yourself."
        click.secho(loud, fg="red", bold=True, err=True)
    folder, told = export_model(model, to, out, trust_pickle=trust_pickle)
    for line in told:
        click.echo(line)
    click.echo(f"wrote {folder}")


@main.command()
@click.argument("verdict", type=click.Path(path_type=Path))
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), help="Public key (PEM) of the signer you trust.")
@click.option("--criteria", metavar="FILE|NAME", help="The verdict's criteria, or your own: it must ask as much.")
@click.option("--strategy", type=click.Path(path_type=Path), help="Strategy file, or run folder.")
@click.option(
    "--data",
    multiple=True,
    is_flag=False,
    flag_value="",
    metavar="PATH",
    help="Parquet files, or folders of them, that it was judged on.",
)
@click.option("--trials", type=click.Path(path_type=Path), help="Trial ledger, as it is now.")
@click.option("--lock", type=click.Path(path_type=Path), help="File that pins the dependencies.")
@click.option("--allow-unsigned", is_flag=True, help="Take a verdict that nobody signed.")
@click.option("--json", "as_json", is_flag=True, help="Print what was compared as JSON.")
def verify(
    verdict: Path,
    model: Path,
    key: Path | None,
    criteria: str | None,
    strategy: Path | None,
    data: tuple[str, ...],
    trials: Path | None,
    lock: Path | None,
    allow_unsigned: bool,
    as_json: bool,
) -> None:
    """Before deploying MODEL: does VERDICT, a verdict.json, hold for it?  Exit 3 when it does not.

    For a rule, which has no model file, MODEL is the strategy file, or the folder of a run with --set and its kind.
    """
    from wfbt.errors import ConfigError
    from wfbt.gate.deployed import verify as hold
    from wfbt.report.verified import described, told

    if "" in data:
        raise ConfigError("--data: give the Parquet file or folder that was judged on: --data datasets/sample")
    found = hold(
        verdict,
        model,
        key=key,
        criteria=criteria,
        strategy=strategy,
        data=data,
        trials=trials,
        lock=lock,
        allow_unsigned=allow_unsigned,
    )
    click.echo(json.dumps(told(found), ensure_ascii=False) if as_json else "\n".join(described(found)))


@main.command()
@click.argument("document")
def schema(document: str) -> None:
    """Print the JSON Schema of DOCUMENT: verdict."""
    from wfbt.gate.shape import schema_text

    click.echo(schema_text(document), nl=False)


@main.command()
def warmup() -> None:
    """Compile the kernels now, so that the first run need not."""
    from wfbt.engine.warm import compile_kernels

    begun = time.monotonic()
    compile_kernels()
    click.echo(f"kernels ready in {time.monotonic() - begun:.1f} s")
