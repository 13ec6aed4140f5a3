"""The leak gauntlet: whatever was decided must stand when what came later is cut off or is something else.

Prefixes of the market and markets with other futures are put to every candidate that a fold chose; features, intents
and fills known at the cut are compared.  Cuts lie where the candidate's own targets have just changed as well as at
random, spread over the span.  A new process, which has never seen a later row, answers for prefixes too: in this one a
rule may remember the whole market.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from wfbt.compute import in_order
from wfbt.data.market import Market
from wfbt.engine.backtest import replay_ledger, span
from wfbt.engine.intents import Lowering
from wfbt.engine.tape import lay_out
from wfbt.errors import PolicyError, WfbtError
from wfbt.policy.answers import FILL, INTENT, Difference, answer, differences
from wfbt.validation.comb import SPAN, Combed, comb
from wfbt.validation.futures import MILD, MIRROR, STYLES, WILD, Spans, altered, prefix
from wfbt.validation.isolation import Heard, Isolated, Prefix, Process, isolated
from wfbt.validation.leakage import COMB, NEW_PROCESS, PREFIX, Coverage, Effort, Leak, Verdict, detection, moment
from wfbt.validation.questions import Question, chosen_questions, other_questions, thirds
from wfbt.validation.walk_forward import Study, WalkForward

I8 = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

SCHEMES = (PREFIX, MIRROR, PREFIX, WILD, PREFIX, MILD)
"""What the exact cuts of a question are, in turn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One study and its walk; `name` of the sleeve, empty where there is but one."""

    name: str
    study: Study
    walk: WalkForward


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Test:
    """An exact cut: `row` is the last decision bar that stays."""

    question: Question
    row: int
    scheme: str
    seed: int

    @property
    def now(self) -> int:
        return int(self.question.study.deck.close_ts[self.row])

    def market(self, whole: bool = False) -> Market:
        """What the cut makes of the market; the `whole` of it where fills are replayed."""
        market, end = self.question.market, int(self.question.study.deck.close_ts[-1])
        if self.scheme == PREFIX:
            return prefix(market, self.now)
        return altered(market, Spans.one(self.now, end, self.scheme), np.random.default_rng(self.seed), whole)

    def run(self) -> list[Difference] | None:
        """What differs though it was known; None where the policy refuses."""
        said = self.question.ask(self.market())
        return None if said is None else differences(self.question.base, said, self.now)


class _Found(Exception):
    """Ends the gauntlet at the first leak."""

    def __init__(self, leak: Leak) -> None:
        self.leak = leak


class Gauntlet:
    """The tests of all subjects, counted as they are made."""

    def __init__(self, subjects: Sequence[Subject], effort: Effort, seed: int, jobs: int, progress: Progress) -> None:
        self.subjects, self.effort, self.jobs, self.progress = subjects, effort, jobs, progress
        self.seed = seed
        self.rng = np.random.default_rng([seed, 0x1EA4])
        self.chosen = [chosen_questions(one.name, one.study, one.walk) for one in subjects]
        self.others = [other_questions(asked, effort.others) if effort.others else [] for asked in self.chosen]
        self.cuts = self.evaluations = self.prefixes = self.refused = self.fills = 0
        self.tested: dict[tuple[int, int], set[int]] = {}
        self.marks: list[int] = []
        self.asked: dict[int, _Test] = {}
        self.notes: list[str] = []

    def run(self) -> Verdict:
        """All schemes in turn, until a leak is found."""
        leak = None
        try:
            # What a rule warns of on a market that never was is nobody's concern.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._run()
        except _Found as found:
            leak = found.leak
        return Verdict(leak=leak, coverage=self.coverage(), notes=tuple(dict.fromkeys(self.notes)))

    def _run(self) -> None:
        asked = [*itertools.chain(*self.chosen)]
        with ExitStack() as stack:
            # They get ready while the first questions are answered here.
            processes = [stack.enter_context(Process(group[0].study.rule)) for group in self.chosen]
            for questions in self.chosen:
                self._bases(questions)
            prefixes = [self._prefixes(questions) for questions in self.chosen]
            for process, own in zip(processes, prefixes, strict=True):
                process.ask(own)
            self._exact(self._cuts(asked, max(len(asked), min(12, self.effort.tests))))
            for questions in self.chosen:
                self._refits(questions)
                self._fills(questions)
            self._comb(asked)
            for process, own in zip(processes, prefixes, strict=True):
                self._isolated(process, own)
        others = [*itertools.chain(*self.others)]
        if others:
            in_order(lambda one: one.base, others, self.jobs)
            self._exact(self._cuts(others, 2 * len(others)))
        if self.effort.evaluations is None:
            while (missing := self.effort.tests - self.count) > 0 and any(self._room(one) for one in asked):
                self.progress("cuts tested for leaks", self.count, self.effort.tests)
                before = self.count
                self._exact(self._cuts([one for one in asked if self._room(one)], min(missing, 64)))
                if self.count == before:
                    break

    def _bases(self, questions: Sequence[Question]) -> None:
        """Ask about the market as it was, and once more whether the answer is the same."""
        in_order(lambda one: one.base, questions, self.jobs)
        for one in questions if questions[0].fitted else questions[:1]:
            try:
                one.check_steady()
            except PolicyError:
                self._ask_afresh(one)
                raise
        self.evaluations += len(questions) + 1

    @property
    def count(self) -> int:
        """Distinct decisions tested so far."""
        return sum(len(rows) for rows in self.tested.values())

    def _room(self, question: Question) -> bool:
        first, last = question.rows
        return len(self._of(question)) < last - first

    def _of(self, question: Question) -> set[int]:
        return self.tested.setdefault((id(question.study), question.candidate), set())

    def _cuts(self, asked: Sequence[Question], number: int) -> list[_Test]:
        """`number` exact cuts in turns over `asked`: all over the span, at changes of target and in every regime."""
        out: list[_Test] = []
        turns: Iterator[tuple[int, Question]] = enumerate(itertools.islice(itertools.cycle(asked), number))
        for place, question in turns:
            first, last = question.rows
            scheme = SCHEMES[(place // max(len(asked), 1) + len(out) % 2) % len(SCHEMES)]
            if scheme == PREFIX:
                first = max(first, question.begun + 1)
            if last <= first:
                continue
            # One part of the span after the other; the golden ratio leaves none out, whatever the number.
            low = first + int((last - first) * ((place * 0.618034) % 1.0))
            high = min(low + max((last - first) // 10, 1), last)
            row = int(self.rng.integers(low, high))
            nearby = question.changes[np.searchsorted(question.changes, low) : np.searchsorted(question.changes, high)]
            alike = low + np.flatnonzero(question.regime[low:high] == place // 2 % 3)
            rows = nearby if len(nearby) and place % 2 == 0 else alike
            if len(rows):
                row = int(rows[self.rng.integers(0, len(rows))])
            # A row that was cut at before tells little more: the next one then.
            done = self._of(question)
            row = next((one for one in itertools.chain(range(row, last), range(first, row)) if one not in done), row)
            out.append(_Test(question=question, row=row, scheme=scheme, seed=int(self.rng.integers(0, 2**32))))
        return out

    def _exact(self, tests: Sequence[_Test]) -> None:
        for test, found in zip(tests, in_order(_Test.run, tests, self.jobs), strict=True):
            self.evaluations += 1
            if found is None:
                self.refused += 1
                continue
            if found:
                self._report(test.question, test.row, test.scheme, found, test.market())
            self.cuts += 1
            self._count(test.question, [test.row])

    def _count(self, question: Question, rows: Sequence[int]) -> None:
        self._of(question).update(rows)
        self.marks.extend(rows)

    def _comb(self, asked: Sequence[Question]) -> None:
        most = self.effort.evaluations
        left = 10_000 if most is None else max(most - self.evaluations, len(asked))
        # Some more than is missing: a few rows will be met twice.
        missing = max(self.effort.tests - self.count, 1) * 51 // 50
        share, wanted = -(-left // len(asked)), -(-missing // len(asked))
        seeds = self.rng.integers(0, 2**32, len(asked)).tolist()

        def combed(place: int, memory: int = 0) -> Combed:
            return comb(asked[place], wanted, share, np.random.default_rng(seeds[place]), memory)

        # The first tells the others how long such candidates remember.
        first = combed(0)
        rest = in_order(lambda place: combed(place, first.memory), range(1, len(asked)), self.jobs)
        for question, done in zip(asked, [first, *rest], strict=True):
            self.evaluations += done.evaluations
            if done.proof is not None:
                market, row, found = done.proof
                self._report(question, row, COMB, found, market)
            if done.ended and len(done.rows) < wanted:
                self.notes.append(f"{self._name(question)} was asked about one cut at a time: {done.ended}")
            self._count(question, done.rows)

    def _prefixes(self, questions: Sequence[Question]) -> list[Prefix]:
        """What a new process is asked of them."""
        number = max(self.effort.prefixes, len(questions))
        tests = [one for one in self._cuts(questions, 2 * number) if one.row > one.question.begun][:number]
        prefixes = [
            Prefix(
                frames=one.question.view.frames,
                params=one.question.params,
                train=one.question.view.train,
                base=one.question.base,
                now=one.now,
            )
            for one in tests
        ]
        self.asked |= {id(prefix): one for prefix, one in zip(prefixes, tests, strict=True)}
        return prefixes

    def _isolated(self, process: Process, prefixes: Sequence[Prefix]) -> None:
        heard = process.answers()
        policy = process.policy
        if all(one.refused for one in heard.heard) and prefixes:
            # A rule may read a file from where the user stands.
            heard = isolated(policy, prefixes, at_home=True)
            self.notes.append(f"{policy.name} was asked where wfbt stands: in an empty folder it answers nothing")
        for place, (one, told) in enumerate(zip(prefixes, heard.heard, strict=True)):
            test = self.asked[id(one)]
            if told.refused:
                self.refused += 1
                continue
            if told.differences:
                self._judge_new_process(policy, prefixes, place, heard)
            self.prefixes += 1
            self._count(test.question, [test.row])
        for names, words in ((heard.read, "reads"), (heard.written, "writes")):
            if names:
                self.notes.append(f"{policy.name} {words} files that no recomputation judges: {', '.join(names)}")

    def _judge_new_process(self, policy: Any, prefixes: Sequence[Prefix], place: int, heard: Isolated) -> None:
        """A leak, unless another new process says yet another thing."""
        again: Heard = isolated(policy, prefixes).heard[place]
        first = heard.heard[place]
        test = self.asked[id(prefixes[place])]
        if again.sha256 != first.sha256:
            one = first.differences[0]
            raise PolicyError(
                f"{policy.name}: asked in two new processes with the same bars and parameters it gave two answers "
                f"({one.key[2]} of {one.key[1]} at {moment(one.ts)}); it must seed whatever it draws, and hang on no "
                "order of sets, time or place"
            )
        self._report(test.question, test.row, NEW_PROCESS, list(first.differences), None)

    def _refits(self, questions: Sequence[Question]) -> None:
        """Fit anew where everything after the training rows is another market: nothing may have been read there."""
        for question in [one for one in questions if one.fitted][:: max(len(questions) - 1, 1)]:
            assert question.fold is not None
            row, last = question.rows
            if row >= last:
                continue
            test = _Test(question=question, row=row, scheme=WILD, seed=self.seed)
            frames = question.frames(test.market())
            bare = {symbol: frame[list(question.study.frames[symbol].columns)] for symbol, frame in frames.items()}
            view = replace(question.study, frames=bare).view(question.fold)
            self.evaluations += 1
            found = differences(question.base, answer(view.frames, question.say(view.frames)), test.now)
            if found:
                self._report(question, row, WILD, found, None)
            self.cuts += 1

    def _fills(self, questions: Sequence[Question]) -> None:
        """Replay what is decided under other futures: fills before the cut must be the same."""
        questions = [one for one in questions if one.rows[1] > one.rows[0]][: self.effort.fills]
        for number in range(self.effort.fills if questions else 0):
            question = questions[number % len(questions)]
            first, last = question.rows
            row = first + int((last - first) * (number + 0.5) / self.effort.fills)
            test = _Test(question=question, row=row, scheme=(WILD, MILD, MIRROR)[number % 3], seed=number)
            begin = max(row - 2000, 0)
            market, end = test.market(whole=True), min(row + 200, question.clock_rows)
            own, other = (_replayed(question, one, begin, end, self.seed) for one in (question.market, market))
            if own is None or other is None:
                self.refused += 1
                continue
            self.evaluations += 2
            found = _fill_differences(question, own, other, test.now)
            if found:
                # The decision that led to the fill tells more than the fill.
                said = question.ask(market)
                decided = [] if said is None else differences(question.base, said, test.now)
                self._report(question, row, test.scheme, decided or found, market if decided else None)
            self.fills += 1

    def _report(
        self, question: Question, row: int, scheme: str, found: list[Difference], market: Market | None
    ) -> None:
        """Raise what was found, unless the policy says two things of one market."""
        now = int(question.study.deck.close_ts[row])
        if scheme != NEW_PROCESS:
            try:
                found = self._confirmed(question, now, found, market)
            except PolicyError:
                self._ask_afresh(question)
                raise
        first = found[0]
        kind, symbol, column = first.key
        raise _Found(
            Leak(
                kind=kind,
                column=column,
                symbol=symbol,
                bar=first.ts,
                cut=now,
                scheme=scheme,
                was=first.was,
                now=first.now,
                params=dict(question.params),
                fold=None if question.fold is None else question.fold.index + 1,
                sleeve=question.sleeve,
                columns=tuple(f"{one.key[1]}: {one.key[2]}" for one in found),
                reads=self._reads(question, row, scheme, market) if kind == INTENT else (),
            )
        )

    def _confirmed(
        self, question: Question, now: int, found: list[Difference], market: Market | None
    ) -> list[Difference]:
        """What differs when it is asked alone; PolicyError where the policy says two things of one market."""
        # Twice now, not as at first: a policy that has learnt from other futures since then is a leak itself.
        question.check_steady(question.again())
        if market is None or (said := question.ask(market)) is None:
            return found
        if again := differences(question.base, said, now):
            return again
        raise PolicyError(
            f"{self._name(question)}: asked twice about one market it gave two answers; a rule may keep no state "
            "between calls, and is asked by several threads at once: --jobs 1 asks it alone"
        )

    def _ask_afresh(self, question: Question) -> None:
        """Let a new process tell whether what a policy keeps between calls is the future."""
        (own,) = [group for group in self.chosen if group[0].study is question.study]
        prefixes = self._prefixes(own)
        with Process(question.study.rule) as process:
            process.ask(prefixes)
            self._isolated(process, prefixes)

    def _reads(self, question: Question, row: int, scheme: str, market: Market | None) -> tuple[str, ...]:
        """Inputs of which a later value alone changes what was decided by `row`."""
        now = int(question.study.deck.close_ts[row])
        markets = [market] if market is not None and scheme not in (PREFIX, NEW_PROCESS) else []
        markets += [_Test(question=question, row=row, scheme=one, seed=self.seed).market() for one in STYLES]
        for other in markets:
            if names := self._changing(question, question.frames(other), now):
                return names
        return ()

    def _changing(self, question: Question, frames: Mapping[str, pd.DataFrame], now: int) -> tuple[str, ...]:
        """Inputs that change what was decided by `now` when they alone are as in `frames`."""
        out = []
        for symbol, frame in question.view.frames.items():
            for name in frame.columns:
                mixed = {**question.view.frames, symbol: frame.assign(**{str(name): frames[symbol][name].to_numpy()})}
                try:
                    said = answer(mixed, question.say(mixed))
                except WfbtError:  # this input alone cannot be altered
                    continue
                if any(one.key[0] == INTENT for one in differences(question.base, said, now)):
                    out.append(f"{symbol} {name}")
        return tuple(out)

    def _name(self, question: Question) -> str:
        return f"{question.sleeve}: {question.study.rule.name}" if question.sleeve else question.study.rule.name

    def coverage(self) -> Coverage:
        """Of what was tested so far."""
        study = self.subjects[0].study
        rows = np.unique(np.array(self.marks, np.int64))
        total = len(study.deck.close_ts)
        first = min((one.rows[0] for one in itertools.chain(*self.chosen)), default=0)
        near = np.zeros(total + 1, np.int64)
        np.add.at(near, np.maximum(rows - SPAN + 1, 0), 1)
        np.add.at(near, rows + 1, -1)
        asked = [one for group in (*self.chosen, *self.others) for one in group]
        return Coverage(
            cuts=self.cuts,
            tests=self.count,
            rows=max(total - first, 0),
            rows_tested=len(rows),
            rows_covered=float((np.cumsum(near)[:total] > 0)[first:].mean()) if total > first else 0.0,
            probability=detection(self.count),
            volatility=_by_volatility(study, rows),
            evaluations=self.evaluations,
            prefixes=self.prefixes,
            refused=self.refused,
            fills=self.fills,
            candidates=len({(one.sleeve, one.candidate) for one in asked}),
            candidates_chosen=len({(one.sleeve, one.candidate) for group in self.chosen for one in group}),
            candidates_all=sum(len(one.study.candidates) for one in self.subjects),
        )


def _by_volatility(study: Study, rows: I8) -> tuple[int, int, int]:
    """How many of the decision bars `rows` lie in the calm, the middling and the wild third of the first symbol's."""
    calm, middling, wild = np.bincount(thirds(study)[rows] + 1, minlength=4)[1:].tolist()
    return calm, middling, wild


def _replayed(question: Question, market: Market, begin: int, end: int, seed: int) -> npt.NDArray[np.void] | None:
    """Fills of the candidate alone on decision bars [begin, end) of `market`."""
    setup = question.study.lowering.setup
    deck = lay_out(market, setup, seed)
    study = replace(question.study, deck=deck, lowering=Lowering(market, deck, setup))
    try:
        view = study.seen(question.frames(market), question.view.train)
        said = study.say(question.candidate, view)
    except WfbtError:  # counted as refused by whoever asks
        return None
    first, stop = span(deck, begin, end)
    intents = said.heard_from([first]).between(first, stop)
    judged = study.judged([(view, slice(0, len(deck.decisions)))])
    return replay_ledger(judged, intents, study.rules, begin, end).fills


def _fill_differences(
    question: Question, own: npt.NDArray[np.void], other: npt.NDArray[np.void], now: int
) -> list[Difference]:
    """The first field of the first fill before `now` that is not the same bit for bit."""
    own, other = own[own["ts"] < now], other[other["ts"] < now]
    symbols = question.study.deck.symbols
    for row in range(max(len(own), len(other))):
        if row >= len(own) or row >= len(other):
            one = own[row] if row < len(own) else other[row]
            sizes = (
                float(own[row]["qty"]) if row < len(own) else np.nan,
                float(other[row]["qty"]) if row < len(other) else np.nan,
            )
            return [
                Difference(
                    key=(FILL, symbols[int(one["asset"])], "qty"),
                    row=row,
                    ts=int(one["ts"]),
                    was=sizes[0],
                    now=sizes[1],
                )
            ]
        for name in own.dtype.names or ():
            if own[row][name].tobytes() != other[row][name].tobytes():
                return [
                    Difference(
                        key=(FILL, symbols[int(own[row]["asset"])], name),
                        row=row,
                        ts=int(own[row]["ts"]),
                        was=float(own[row][name]),
                        now=float(other[row][name]),
                    )
                ]
    return []


def gauntlet(
    subjects: Sequence[Subject],
    effort: Effort,
    seed: int,
    jobs: int = 1,
    progress: Progress = lambda what, done, total: None,
) -> Verdict:
    """Look for leaks in what `subjects` chose.  The same seed asks the same questions.

    PolicyError where a policy gives two answers to one question, in this process or in new ones: that is no leak.
    """
    return Gauntlet(subjects, effort, seed, jobs, progress).run()
