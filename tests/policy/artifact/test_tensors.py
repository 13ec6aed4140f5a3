import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from tests.policy.artifact.forging import f32, payload, safetensors_file
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.tensors import read_tensors, tensor_bytes

WEIGHT = np.arange(6, dtype="f4").reshape(2, 3)


def refused(data):
    with pytest.raises(ArtifactError) as caught:
        read_tensors(data, "policy.safetensors")
    assert str(caught.value).startswith("policy.safetensors: ")
    return str(caught.value)


def test_arrays_come_back_exactly_in_the_narrowest_type_that_holds_them():
    wide = np.array([1.0 + 2**-40, -3.0])
    written = tensor_bytes({"b": WEIGHT.astype("f8"), "a": wide, "c": np.asfortranarray(WEIGHT)})
    (length,) = struct.unpack("<Q", written[:8])
    header = json.loads(written[8 : 8 + length])
    assert {name: told["dtype"] for name, told in header.items()} == {"a": "F64", "b": "F32", "c": "F32"}
    again = read_tensors(written, "a file")
    for name, array in {"a": wide, "b": WEIGHT, "c": WEIGHT}.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == np.float64
        assert not again[name].flags.writeable


def test_equal_arrays_give_equal_bytes_in_whatever_order_they_come():
    one = tensor_bytes({"a": WEIGHT, "b": WEIGHT + 1})
    assert one == tensor_bytes({"b": WEIGHT + 1, "a": WEIGHT.copy()})


def test_half_floats_are_read():
    body = np.array([0.5, -2.0], "f2").tobytes()
    data = safetensors_file({"a": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}, body)
    np.testing.assert_array_equal(read_tensors(data, "a file")["a"], [0.5, -2.0])


@pytest.mark.parametrize(
    ("header", "body", "said"),
    [
        ({"a": f32([2], 0, 8), "b": f32([2], 4, 12)}, 12, "must begin at byte 8, where the one before ends, says 4"),
        ({"a": f32([2], 0, 8), "b": f32([2], 12, 20)}, 20, "must begin at byte 8"),
        ({"a": f32([2], 8, 16)}, 16, "must begin at byte 0"),
        ({"a": f32([2], 0, 8)}, 4, "must fill 4 bytes, say 8"),
        ({"a": f32([2], 0, 8)}, 12, "must fill 12 bytes, say 8"),
        ({"a": f32([3], 0, 8)}, 8, "needs 12 bytes by its shape, has 8"),
        ({"a": f32([1 << 40, 1 << 40], 0, 8)}, 8, "bytes by its shape, has 8"),
        ({"a": f32([1 << 63], 0, 8)}, 8, "must have a shape of"),
        ({"a": f32([-2], 0, 8)}, 8, "must have a shape of"),
        ({"a": f32([2.0], 0, 8)}, 8, "must have a shape of"),
        ({"a": f32([True], 0, 4)}, 4, "must have a shape of"),
        ({"a": f32([1] * 9, 0, 4)}, 4, "must have a shape of at most 8"),
        ({"a": f32([2], 8, 0)}, 8, "two data_offsets in order"),
        ({"a": f32([2], -8, 0)}, 8, "two data_offsets in order"),
        ({"a": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}}, 8, "must be of F64, F32, F16"),
        ({"a": {"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}}, 8, "must be of F64, F32, F16"),
        ({"a": {"dtype": "F32", "shape": [2]}}, 8, "must have dtype, shape and data_offsets"),
        ({"a": [1, 2]}, 8, "must have dtype, shape and data_offsets"),
        ([], 8, "header must be a mapping"),
        ({}, 0, "must hold 1 to 4096 tensors, holds 0"),
        ({"__metadata__": {"a": "b"}}, 0, "must hold 1 to 4096 tensors, holds 0"),
        ({f"t{n}": f32([0], 0, 0) for n in range(4097)}, 0, "must hold 1 to 4096 tensors, holds 4097"),
        (b'{"a": 1, "a": 2}', 8, "repeats the key"),
        (b'{"a": NaN}', 8, "a number must be finite"),
        (b"[" * 5000, 8, "nested more than"),
        (b"\xff\xfe", 8, "must be UTF-8 text"),
        (b" " * 1_000_001, 8, "must be at most 1,000,000 bytes long"),
    ],
    ids=range(27),
)
def test_a_header_that_lies_is_refused(header, body, said):
    assert said in refused(safetensors_file(header, b"\0" * body))


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 10**6, 100])
def test_a_header_longer_than_its_file_is_refused(length):
    assert "its header must be at most" in refused(struct.pack("<Q", length) + b"{}")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused_with_their_place(bad):
    array = WEIGHT.copy()
    array[1, 0] = bad
    assert f"a must hold finite numbers, holds {bad} at [1, 0]" in refused(tensor_bytes({"a": array}))


def test_a_number_that_signals_it_is_none_is_refused_and_does_not_warn():
    array = WEIGHT.astype(np.float32)
    array.view(np.uint32)[1, 0] = 0x7F80_0001
    assert "a must hold finite numbers, holds nan at [1, 0]" in refused(save({"a": array}))


def test_every_beginning_of_a_good_file_is_refused():
    good = tensor_bytes({"a": WEIGHT, "b": WEIGHT})
    for length in range(len(good)):
        refused(good[:length])
    refused(good + b"\0")


def test_a_pickle_with_another_name_is_refused_and_not_run(tmp_path):
    refused(payload(tmp_path / "canary"))
    assert not (tmp_path / "canary").exists()
