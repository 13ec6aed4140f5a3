"""Draws by address against published vectors, numpy's own generator and a twin in whole numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from tests.naive import random as naive
from wfbt.kernels.random import below, fill_normals, fill_words, philox, uniform

WORD = st.integers(0, 2**64 - 1)
KEY = (0x0123456789ABCDEF, 42)


def frozen(key):
    out = np.array(key, np.uint64)
    out.flags.writeable = False
    return out


def words(count, key=KEY, stream=0, path=0, place=0):
    out = np.empty(count, np.uint64)
    fill_words(out, frozen(key), stream, path, place)
    return out


def normals(count, key=KEY, stream=0, path=0):
    out = np.empty(count)
    fill_normals(out, np.empty(count, np.uint64), frozen(key), stream, path)
    return out


# Known answers of Random123 (Salmon et al. 2011), philox4x64 with 10 rounds: counter, key, result.
KNOWN = [
    ([0] * 4, [0] * 2, "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
    ([2**64 - 1] * 4, [2**64 - 1] * 2, "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0"),
    (
        [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
        [0x452821E638D01377, 0xBE5466CF34E90C6C],
        "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
    ),
]


@pytest.mark.kernel
@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN, ids=["zeros", "ones", "pi"])
def test_the_generator_is_the_published_one(counter, key, expected):
    found = philox(*(np.uint64(one) for one in counter + key))
    assert " ".join(f"{int(one):016x}" for one in found) == expected


@pytest.mark.kernel
@settings(max_examples=50, deadline=None)
@given(key=st.tuples(WORD, WORD), stream=WORD, path=st.integers(0, 2**62), count=st.integers(1, 40))
def test_words_are_those_of_numpy(key, stream, path, count):
    found = words(count, key, np.uint64(stream), path)
    assert found.tolist() == naive.words(key, stream, path, count)


@pytest.mark.kernel
def test_a_word_depends_on_its_place_alone():
    long = words(100)
    for place in (0, 4, 12, 64):
        for count in (1, 2, 3, 4, 9):
            assert words(count, place=place).tolist() == long[place : place + count].tolist()


def test_normals_are_those_of_the_ziggurat_written_out():
    for path in range(8):  # 2,000 of them, of which 25 are not taken at once and one or two lie in the tail
        assert_allclose(normals(250, path=path), naive.normals(KEY, 0, path, 250), rtol=1e-12)


def test_what_seldom_happens_is_that_of_the_ziggurat_too():
    """Words are searched for which the layer is the base or the top, so that each branch is met."""
    seen = set()
    for path in range(400):
        raw = words(250, path=path, stream=5)
        odd = [p for p in range(250) if int(raw[p]) & 255 in (0, 255)]
        found = normals(250, path=path, stream=5)
        for place in odd:
            expected = naive.normal(int(raw[place]), KEY, place, 5, path)
            assert found[place] == pytest.approx(expected, rel=1e-12)
            seen.add("tail" if abs(expected) > naive.edges()[1] else "body")
    assert seen == {"tail", "body"}


def test_the_base_of_256_layers_is_that_of_marsaglia_and_tsang():
    assert naive.edges()[1] == pytest.approx(3.6541528853610088, rel=1e-13)


@pytest.fixture(scope="module")
def many():
    return np.stack([normals(2000, path=path) for path in range(1000)])


def test_normals_are_normal(many):
    flat = many.ravel()
    n = len(flat)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs(np.mean(flat**power) - moment) < 4 * np.sqrt(variance / n), power
    assert stats.kstest(flat, "norm").pvalue > 1e-4
    cells = np.bincount((stats.norm.cdf(flat) * 1000).astype(int), minlength=1000)
    assert stats.chisquare(cells).pvalue > 1e-4


@pytest.mark.parametrize("beyond", [2.0, 3.0, 3.6541528853610088, 4.0, 4.5])
def test_the_tails_are_as_heavy_as_they_should_be(many, beyond):
    for side in (many > beyond, many < -beyond):
        p = stats.norm.sf(beyond)
        assert abs(side.mean() - p) < 4 * np.sqrt(p / many.size)


def test_neighbours_in_time_path_and_stream_have_nothing_in_common(many):
    other = np.stack([normals(2000, path=path, stream=1) for path in range(1000)])
    rounds = 4 / np.sqrt(many.size)
    assert abs(np.mean(many[:, 1:] * many[:, :-1])) < rounds
    assert abs(np.mean(many[1:] * many[:-1])) < rounds
    assert abs(np.mean(many * other)) < rounds
    assert abs(np.mean((many[:, 1:] ** 2 - 1) * (many[:, :-1] ** 2 - 1))) < 2 * rounds


@pytest.mark.kernel
@given(word=WORD, count=st.integers(1, 2**31))
def test_a_whole_number_is_below_its_bound(word, count):
    assert below(np.uint64(word), count) == word * count >> 64


@pytest.mark.kernel
@given(word=WORD)
def test_a_uniform_is_never_0_nor_1(word):
    found = uniform(np.uint64(word))
    assert 0.0 < found < 1.0
    assert found == naive.uniform(word)
