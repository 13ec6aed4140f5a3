"""Spoiled strategies, criteria, verdicts, run folders, models and ledgers: an answer, soon, and never a false 0."""

from __future__ import annotations

import base64
import zlib
from math import ceil
from random import Random

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.stage import Target, targets

SEED = 20_260_301


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return targets(tmp_path_factory.mktemp("fuzz"))


def spoiled(found: list[Target], count: int, seed: int = SEED):
    """At least `count` spoiled files, each with its target; the same for the same seed and good files."""
    everything = tuple(one.good for one in found)
    total = sum(one.share for one in found)
    for target in found:
        for number in range(ceil(count * target.share / total)):
            random = Random(f"{seed}/{target.name}/{number}")
            yield target, mutated(target.good, target.form, random, everything)


def complaints(found: list[Target], count: int, seed: int = SEED) -> list[str]:
    out: list[str] = []
    calls = 0
    for target, data in spoiled(found, count, seed):
        calls += 1
        if told := target.complaint(data):
            packed = base64.b85encode(zlib.compress(data)).decode()
            out.append(f"{target.name}: {told}\n  {data[:300]!r}\n  {packed if len(packed) < 4000 else '(long)'}")
    assert calls >= count
    return out


def test_the_good_files_of_these_tests_are_good(made):
    for target in made:
        assert (target.call(target.good).code, target.complaint(target.good)) == (0, ""), target.name


def test_five_hundred_spoiled_files_end_in_an_answer_and_never_in_a_false_zero(made):
    assert complaints(made, 500) == []


@pytest.mark.slow
def test_ten_thousand_spoiled_files_end_in_an_answer_and_never_in_a_false_zero(made):
    assert complaints(made, 10_000, SEED + 1) == []
