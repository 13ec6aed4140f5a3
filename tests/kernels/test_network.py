"""Network kernels against their naive twin, their own source and numbers known beforehand."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numpy.testing import assert_allclose, assert_array_equal

from tests.naive import network as naive
from tests.networks import network, plain
from wfbt.kernels import network as kernels
from wfbt.kernels.network import Activation, bound, choose, forward, forward_many, softmax_many, weigh
from wfbt.policy.network import Head, Layer, Network

COMPILED = hasattr(forward, "py_func")

examples = settings(max_examples=60, deadline=None, derandomize=True)
nets = st.builds(
    network,
    st.lists(st.integers(1, 13), min_size=2, max_size=6),
    st.sampled_from(Activation),
    st.booleans(),
    st.integers(0, 2**32),
    normalised=st.booleans(),
    clip=st.sampled_from([0.5, 10.0, inf]),
)
numbers = st.floats(-1e3, 1e3, width=32)


def frozen(array):
    array = np.ascontiguousarray(array, np.float64)
    array.setflags(write=False)
    return array


def rows_for(net, rows, seed=0):
    return frozen(3.0 * np.random.default_rng(seed).normal(size=(rows, net.inputs)))


def one_by_one(net, rows, function=forward):
    packed, out = net.pack(), np.full((len(rows), net.outputs), 9.0)
    scratch = np.full((2, 1, net.width), np.nan, np.float32)
    for n in range(len(rows)):
        function(packed, rows[n], scratch, out[n])
    return out


def together(net, rows, function=forward_many):
    out = np.full((len(rows), net.outputs), 9.0)
    function(net.pack(), rows, out)
    return out


@pytest.mark.kernel
@examples
@given(nets, st.integers(0, 1000))
def test_a_network_is_what_its_definition_says(net, seed):
    rows = rows_for(net, 3, seed)
    layers, normaliser = plain(net)
    twin = [naive.values(layers, row, normaliser) for row in rows.tolist()]
    # A layer norm divides the roundings of 32 bits by the deviation of its units, which can be small.
    within = 5e-5 if any(one.norm for one in net.layers) else 5e-6
    assert_allclose(together(net, rows), twin, rtol=within, atol=within)


@pytest.mark.kernel
@examples
@given(nets, st.integers(1, 3 * kernels.ROWS))
def test_a_row_has_the_same_bits_alone_and_among_others(net, count):
    rows = rows_for(net, count)
    assert_array_equal(one_by_one(net, rows), together(net, rows))


@pytest.mark.kernel
@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("norm", [False, True])
def test_compiled_networks_are_their_source_to_the_bit(activation, norm):
    net = network([7, 19, 6, 3], activation, norm, normalised=True)
    rows = rows_for(net, 11)
    if COMPILED:
        assert_array_equal(one_by_one(net, rows), one_by_one(net, rows, forward.py_func))
        assert_array_equal(together(net, rows), together(net, rows, forward_many.py_func))


def test_threads_change_nothing():
    net = network([30, 128, 64, 32, 3])
    rows = rows_for(net, 4_001)
    whole, parts = together(net, rows), np.empty((4_001, 3))
    packed, cuts = net.pack(), [*range(0, 4_001, 37), 4_001]
    with ThreadPoolExecutor(8) as pool:
        for begin, end in pairwise(cuts):
            pool.submit(forward_many, packed, rows[begin:end], parts[begin:end])
    assert_array_equal(parts, whole)


@pytest.mark.kernel
def test_the_fast_tanh_is_within_2e7_and_never_beyond_one():
    step = 0.001 if COMPILED else 0.05
    x = np.concatenate([np.arange(-20, 20, step), 10.0 ** np.arange(-38, 38)]).astype(np.float32)
    mine = activated(Activation.TANH, x)
    exact = np.tanh(x.astype(np.float64))
    assert np.abs(mine - exact).max() <= 2e-7
    assert_allclose(mine, exact, rtol=6e-7)
    assert np.abs(mine).max() <= 1.0
    assert_array_equal(activated(Activation.TANH, -x), -mine)


@pytest.mark.kernel
@pytest.mark.parametrize("activation", Activation)
def test_each_activation_is_within_1e6_of_its_definition(activation):
    x = np.concatenate([np.linspace(-30, 30, 6_001 if COMPILED else 301), [0.0, 1e-6, -1e-6, 1e4, -1e4]])
    x = x.astype(np.float32)
    exact = [naive.activation(activation.name.lower(), float(one)) for one in x]
    assert_allclose(activated(activation, x), exact, rtol=1e-6, atol=1e-6)


def activated(activation, x):
    """An activation as a network of one unit applies it."""
    one = Layer(weight=[[1.0]], bias=[0.0], activation=activation)
    return together(Network(layers=(one,), head=Head(kind="q")), frozen(x[:, np.newaxis]))[:, 0]


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("activation", "x", "expected"),
    [
        (Activation.TANH, 1.0, 0.761594155955765),
        (Activation.SILU, 1.0, 0.731058578630005),
        (Activation.SILU, -1.0, -0.268941421369995),
        (Activation.ELU, -1.0, -0.632120558828558),
        (Activation.ELU, 2.0, 2.0),
        (Activation.RELU, -2.0, 0.0),
    ],
)
def test_activations_have_the_values_of_the_tables(activation, x, expected):
    assert activated(activation, np.array([x]))[0] == pytest.approx(expected, abs=2e-7)


@pytest.mark.kernel
def test_two_rectified_units_compute_exclusive_or():
    """Goodfellow, Bengio and Courville (2016), Deep Learning, section 6.1: weights, biases and answers."""
    hidden = Layer(weight=[[1.0, 1.0], [1.0, 1.0]], bias=[0.0, -1.0], activation=Activation.RELU)
    last = Layer(weight=[[1.0, -2.0]], bias=[0.0])
    net = Network(layers=(hidden, last), head=Head(kind="q"))
    assert together(net, frozen([[0, 0], [0, 1], [1, 0], [1, 1]])).ravel().tolist() == [0.0, 1.0, 1.0, 0.0]


@pytest.mark.kernel
@pytest.mark.parametrize("activation", Activation)
@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize("clip", [2.0, inf])
def test_an_input_that_is_not_finite_leaves_nothing_known_of_its_row_alone(activation, bad, clip):
    """A clip, a tanh and a rectifier each make an ordinary number of an infinity, and a rectifier even of NaN."""
    net = network([5, 6, 3], activation, normalised=True, clip=clip)
    rows = rows_for(net, 12)
    sound = together(net, rows)
    for place in range(5):
        altered = rows.copy()
        altered[4, place] = bad
        values = together(net, frozen(altered))
        assert np.isnan(values[4]).all()
        assert np.isnan(one_by_one(net, frozen(altered))[4]).all()
        assert choose(frozen(values[4])) == -1
        assert_array_equal(np.delete(values, 4, axis=0), np.delete(sound, 4, axis=0))


@pytest.mark.kernel
@pytest.mark.parametrize("activation", Activation)
def test_what_overflows_inside_is_no_action(activation):
    """3e38 times 100 is infinite in 32 bits, and infinity less infinity is not a number."""
    big = Layer(weight=[[3e38], [3e38]], bias=[0.0, 0.0])
    less = Layer(weight=[[1.0, -1.0], [0.0, 1.0]], bias=[0.0, 0.0], activation=activation)
    net = Network(layers=(big, less), head=Head(kind="q"))
    with np.errstate(all="ignore"):
        values = together(net, frozen([[100.0]]))
        assert np.isnan(values[0, 0])
        assert choose(frozen(values[0])) == -1
        assert np.isnan(together(net, frozen([[1e300]]))).all()


@pytest.mark.kernel
@examples
@given(st.lists(numbers, min_size=1, max_size=6) | st.lists(st.sampled_from([0.0, 1.0, nan, inf, -inf]), min_size=1))
def test_the_greatest_value_is_chosen_and_the_first_of_equals(values):
    assert choose(frozen(values)) == naive.choice(values)


@pytest.mark.kernel
@examples
@given(st.lists(numbers, min_size=1, max_size=4), st.sampled_from([0.0, nan, inf]), st.booleans())
def test_a_box_keeps_its_means_within_the_bounds(means, spoilt, squash):
    means = [*means, spoilt]
    low, high = np.linspace(-2.0, 0.0, len(means)), np.linspace(0.5, 1.0, len(means))
    out = np.full(len(means), 9.0)
    bound(frozen(means), frozen([low, high]), squash, out)
    assert_allclose(out, naive.boxed(means, low.tolist(), high.tolist(), squash), rtol=0, atol=1e-6 * squash)
    assert np.isnan(out).all() or ((low <= out) & (out <= high)).all()


@pytest.mark.kernel
@examples
@given(st.lists(st.floats(-300, 300), min_size=2, max_size=5), st.sampled_from([0.0, nan, inf, -inf]))
def test_a_softmax_is_a_distribution_whatever_the_size_of_its_logits(logits, spoilt):
    out = np.full((1, len(logits) + 1), 9.0)
    softmax_many(frozen([[*logits, spoilt]]), out)
    assert_allclose(out[0], naive.softmax([*logits, spoilt]), rtol=1e-12)
    if spoilt == 0.0:
        shifted = np.empty_like(out)
        softmax_many(frozen([[one + 1e4 for one in (*logits, spoilt)]]), shifted)
        assert_allclose(shifted, out, rtol=1e-10)
        assert out.sum() == pytest.approx(1.0, abs=1e-15 * len(logits))


@pytest.mark.kernel
@examples
@given(
    st.lists(st.floats(-2, 2) | st.just(nan), min_size=6, max_size=6),
    st.booleans(),
    st.sampled_from([0.0, 0.1, 0.5]),
)
def test_a_target_is_direction_times_size_and_flat_in_the_dead_zone(action, sized, dead_zone):
    assets = 3 if sized else 6
    out = np.full(assets, 9.0)
    weigh(frozen(action), sized, dead_zone, out)
    assert_array_equal(out, naive.weighed(action, assets, sized, dead_zone))


@pytest.mark.kernel
def test_a_table_gives_no_target_to_no_action():
    table = np.array([nan, 1.0, -1.0])
    assert kernels.target_of(table, 1) == 1.0
    assert kernels.target_of(table, 2) == -1.0
    assert np.isnan(kernels.target_of(table, 0))
    assert np.isnan(kernels.target_of(table, -1))

    @njit
    def asked(table, action):
        return kernels.target_of(table, action)

    assert [asked(table, 1), asked(table, 2)] == [1.0, -1.0]
    assert np.isnan([asked(table, 0), asked(table, -1)]).all()


@pytest.mark.skipif(not COMPILED, reason="numba is off: nothing is compiled")
def test_one_compiled_network_serves_all():
    """Shapes, activations, norms and normalisers are data; only what is asked through a kernel is compiled anew."""
    for net in (network([3, 2]), network([4, 9, 9, 2], Activation.SILU, norm=True, normalised=True)):
        net.actions(rows_for(net, 9))
        one_by_one(net, rows_for(net, 2))
    for kernel in (forward, forward_many, kernels.choose_many, bound):
        assert len(kernel.signatures) <= 1, kernel
