"""Networks and their action maps: what is refused, and that Python's side says what the kernels say."""

import subprocess
import sys
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from tests.naive import network as naive
from tests.networks import network
from wfbt.errors import ArtifactError
from wfbt.policy import network as module
from wfbt.policy.network import Activation, Continuous, Discrete, Head, Layer, Network, Normaliser

BOX = Head(kind="box")


def layer(outputs, inputs, **changes):
    return Layer(**{"weight": np.ones((outputs, inputs)), "bias": np.zeros(outputs)} | changes)


def one(*layers, head=None, normaliser=None):
    return Network(layers=layers, head=head or Head(kind="q"), normaliser=normaliser)


def spoilt(shape, place, value):
    array = np.ones(shape)
    array[place] = value
    return array


REFUSED = {
    "nothing": (lambda: one(), "1 to 64 layers, has 0"),
    "too deep": (lambda: one(*[layer(1, 1)] * 65), "1 to 64 layers, has 65"),
    "too wide": (lambda: one(layer(4_097, 1)), "layer 0: at most 4,096 units"),
    "too many inputs": (lambda: one(layer(1, 4_097)), "layer 0: at most 4,096 units"),
    "broken chain": (lambda: one(layer(3, 2), layer(1, 4)), "layer 1: it reads 4 numbers, and the layer before it"),
    "NaN weight": (
        lambda: one(layer(2, 2), layer(3, 2, weight=spoilt((3, 2), (2, 1), nan))),
        r"layer 1: weight\[2, 1\] must be finite in 32 bits, was nan",
    ),
    "infinite bias": (lambda: one(layer(2, 2, bias=spoilt(2, 1, inf))), r"layer 0: bias\[1\] must be finite"),
    "more than 32 bits": (lambda: one(layer(2, 2, bias=spoilt(2, 0, 1e39))), r"bias\[0\] must be finite in 32 bits"),
    "NaN gain": (
        lambda: one(layer(2, 2, norm_gain=spoilt(2, 0, nan), norm_shift=np.zeros(2))),
        r"layer 0: norm_gain\[0\] must be finite",
    ),
    "half a norm": (lambda: one(layer(2, 2, norm_gain=np.ones(2))), "norm_gain and norm_shift, one was missing"),
    "short bias": (lambda: one(layer(2, 2, bias=np.zeros(3))), r"layer 0: bias must be \(2,\), was \(3,\)"),
    "short shift": (
        lambda: one(layer(2, 2, norm_gain=np.ones(2), norm_shift=np.zeros(1))),
        r"norm_shift must be \(2,\), was \(1,\)",
    ),
    "vector": (lambda: one(Layer(weight=np.ones(3), bias=np.zeros(3))), r"weight must be \(outputs, inputs\)"),
    "no outputs": (lambda: one(layer(0, 3)), r"weight must be \(outputs, inputs\), both >= 1, was \(0, 3\)"),
    "unknown activation": (lambda: layer(1, 1, activation=7), "activation must be one of 0 linear, 1 tanh"),
    "other normaliser": (
        lambda: one(layer(1, 2), normaliser=Normaliser(mean=np.zeros(3), deviation=np.ones(3))),
        "the normaliser: it has 3 inputs, and layer 0 reads 2",
    ),
    "uneven normaliser": (lambda: Normaliser(mean=np.zeros(3), deviation=np.ones(2)), "must be .I,. alike"),
    "NaN mean": (lambda: Normaliser(mean=[0.0, nan], deviation=np.ones(2)), r"mean\[1\] must be finite, was nan"),
    "no deviation": (lambda: Normaliser(mean=[0.0], deviation=[0.0]), r"deviation\[0\] must be > 0, was 0"),
    "no clip": (lambda: Normaliser(mean=[0.0], deviation=[1.0], clip=0.0), "clip must be > 0, was 0"),
    "NaN clip": (lambda: Normaliser(mean=[0.0], deviation=[1.0], clip=nan), "clip must be > 0, was nan"),
    "unknown head": (lambda: Head(kind="softmax"), "kind must be q, categorical or box, was 'softmax'"),
    "squashed choice": (lambda: Head(kind="q", squash=True), "bounds and squash belong to a box"),
    "one bound": (lambda: Head(kind="box", low=(0.0,)), "low has 1 bounds, high 0"),
    "crossed bounds": (lambda: Head(kind="box", low=(0.0, 1.0), high=(1.0, 1.0)), "those of output 1"),
    "NaN bound": (lambda: Head(kind="box", low=(nan,), high=(1.0,)), "bounds must be finite"),
    "other bounds": (lambda: one(layer(2, 1), head=Head(kind="box", low=(0.0,), high=(1.0,))), "1 outputs of 2"),
    "no choice": (lambda: Discrete(targets=(1.0,)), "at least 2"),
    "infinite target": (lambda: Discrete(targets=(inf, 1.0)), "must be finite or NaN"),
    "always hold": (lambda: Discrete(targets=(nan, nan)), "nothing would ever trade"),
    "no asset": (lambda: Continuous(assets=0), "assets must be >= 1, was 0"),
    "all dead": (lambda: Continuous(assets=1, dead_zone=1.0), "dead_zone must be >= 0 and < 1, was 1.0"),
}


@pytest.mark.parametrize(("made", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused_by_its_place(made, message):
    with pytest.raises(ArtifactError, match=message) as refused:
        made()
    assert refused.value.exit_code == 3


def test_more_weights_than_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MOST_WEIGHTS", 100)
    one(layer(10, 5), layer(5, 10))
    with pytest.raises(ArtifactError, match="at most 100 weights, has 105"):
        one(layer(10, 5), layer(5, 10), layer(1, 5))


@pytest.mark.kernel
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=5), st.booleans(), st.booleans())
def test_packed_numbers_are_the_layers_own(sizes, norm, normalised):
    net = network(sizes, norm=norm, normalised=normalised)
    packed = net.pack()
    assert packed.width == max(sizes) and packed.numbers.ctypes.data % 64 == 0
    for given_layer, row in zip(net.layers, packed.layers, strict=True):
        outputs, inputs = given_layer.weight.shape
        assert (row["inputs"], row["outputs"]) == (inputs, outputs)
        weight = packed.numbers[row["weight"] :][: inputs * outputs].reshape(inputs, outputs)
        assert row["weight"] % module.CACHE_LINE == 0
        assert_array_equal(weight.T, given_layer.weight)
        assert_array_equal(packed.numbers[row["bias"] :][:outputs], given_layer.bias)
        assert (row["norm"] >= 0) == (given_layer.norm is not None)
        if given_layer.norm is not None:
            assert_array_equal(packed.numbers[row["norm"] :][: 2 * outputs], np.concatenate(given_layer.norm))
    for array in (packed.numbers, packed.layers, packed.normal, packed.bounds):
        assert array.flags.c_contiguous and not array.flags.writeable


def test_a_network_does_not_change_with_the_arrays_it_was_made_of():
    weight = np.ones((2, 3), np.float32)
    net = one(layer(2, 3, weight=weight))
    before = net.values(np.ones((1, 3)))
    weight[:] = 7.0
    assert_array_equal(net.values(np.ones((1, 3))), before)
    with pytest.raises(ValueError, match="read-only"):
        net.layers[0].weight[0, 0] = 7.0


def test_the_form_of_the_observations_does_not_matter():
    """Rows in another order of memory, in 32 bits or writable are the same rows."""
    net = network([4, 8, 3], normalised=True)
    rows = np.random.default_rng(1).normal(size=(50, 4)).astype(np.float32).astype(np.float64)
    expected = net.values(rows)
    for form in (np.asfortranarray(rows), rows.astype(np.float32), np.repeat(rows, 2, axis=0)[::2], rows.tolist()):
        assert_array_equal(net.values(form), expected)
    assert rows.flags.writeable
    assert net.values(rows[:0]).shape == (0, 3)


def test_observations_of_another_width_are_refused():
    net = network([4, 3])
    with pytest.raises(ArtifactError, match=r"reads observations \(N, 4\), was given \(2, 5\)"):
        net.values(np.ones((2, 5)))
    with pytest.raises(ArtifactError, match=r"was given \(4,\)"):
        net.actions(np.ones(4))


def test_a_choice_is_the_greatest_value_and_minus_one_where_nothing_is_known():
    net = network([4, 8, 3], head=Head(kind="categorical"))
    rows = np.random.default_rng(1).normal(size=(40, 4))
    rows[7, 2] = nan
    actions, values = net.actions(rows), net.values(rows)
    assert actions.dtype == np.int64 and actions[7] == -1
    assert actions.tolist() == [naive.choice(row) for row in values.tolist()]
    assert_allclose(net.probabilities(rows), [naive.softmax(row) for row in values.tolist()], rtol=1e-12)
    with pytest.raises(ArtifactError, match="and kind is q"):
        replace(net, head=Head(kind="q")).probabilities(rows)


@pytest.mark.parametrize(
    "head",
    [
        BOX,
        Head(kind="box", low=(-1.0, 0.0), high=(1.0, 1.0)),
        Head(kind="box", squash=True),
        Head(kind="box", low=(-3.0, 0.0), high=(1.0, 0.5), squash=True),
    ],
)
def test_a_box_is_cut_or_squashed_to_its_bounds(head):
    net = network([4, 8, 2], head=head, scale=2.0)
    rows = np.random.default_rng(1).normal(size=(60, 4))
    rows[7, 2] = inf
    low, high = head.low or (-1.0, -1.0), head.high or (1.0, 1.0)
    twin = [naive.boxed(row, low, high, head.squash) for row in net.values(rows).tolist()]
    assert_allclose(net.actions(rows), twin, rtol=0, atol=1e-6 * head.squash)
    assert np.isnan(net.actions(rows)[7]).all()


def test_a_discrete_action_is_its_target_and_no_action_holds():
    hold_long_short = Discrete(targets=(nan, 1.0, -1.0))
    targets = hold_long_short.to_targets(np.array([0, 1, 2, -1, 1]))
    assert_array_equal(targets, [[nan], [1.0], [-1.0], [nan], [1.0]])
    assert (hold_long_short.outputs, hold_long_short.assets) == (3, 1)
    assert_array_equal(hold_long_short.pack(), [nan, 1.0, -1.0])
    for bad in ([3], [-2]):
        with pytest.raises(ArtifactError, match="in row 0 has no target: it holds 3"):
            hold_long_short.to_targets(bad)
    with pytest.raises(ArtifactError, match="whole numbers"):
        hold_long_short.to_targets([0.0, 1.0])


def test_a_continuous_action_is_direction_times_size():
    two = Continuous(assets=2, dead_zone=0.1)
    assert two.outputs == 4
    actions = [[1.0, -0.5, 0.5, 1.0], [0.2, -1.0, 0.5, -0.3], [nan, 3.0, 1.0, 0.25], [0.11, 1.0, 1.0, nan]]
    assert_array_equal(two.to_targets(actions), [[0.5, -0.5], [0.0, 0.0], [nan, 0.25], [0.11, nan]])
    bare = Continuous(assets=2, sized=False)
    assert bare.outputs == 2
    assert_array_equal(bare.to_targets([[0.3, -2.0]]), [[0.3, -1.0]])
    with pytest.raises(ArtifactError, match=r"actions must be \(N, 4\), were \(1, 3\)"):
        two.to_targets(np.ones((1, 3)))


def test_an_unknown_row_never_becomes_a_trade():
    """Through both heads and both maps: what is not known leaves every position alone."""
    unknown = np.full((1, 4), nan)
    for activation in Activation:
        chosen = network([4, 5, 2], activation).actions(unknown)
        assert np.isnan(Discrete(targets=(1.0, -1.0)).to_targets(chosen)).all()
        moved = network([4, 5, 4], activation, head=BOX).actions(unknown)
        assert np.isnan(Continuous(assets=2).to_targets(moved)).all()


def test_a_network_needs_no_training_library():
    asked = (
        "import sys; from wfbt.policy.network import Head, Layer, Network; "
        "Network(layers=(Layer(weight=[[1.0]], bias=[0.0]),), head=Head(kind='q')).actions([[1.0]]); "
        "print(*sys.modules.keys() & {'torch', 'onnx', 'onnxruntime', 'stable_baselines3', 'gymnasium', 'safetensors'})"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []
