"""Zips of Stable-Baselines3, and what can stand in their place."""

import json
import pickle
import stat
import struct
import zipfile

import numpy as np
import pytest

from tests.policy.artifact.forging import (
    directory,
    payload,
    ppo_arrays,
    ppo_data,
    program,
    sb3_zip,
    serialized,
    tensor,
    text,
    torch_file,
    zipped,
)
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.description import Function, Head
from wfbt.policy.artifact.sb3 import read_sb3
from wfbt.policy.artifact.torch_state import read_state


def refused(data, read=read_sb3):
    with pytest.raises(ArtifactError) as caught:
        read(data, "policy.zip")
    assert str(caught.value).startswith("policy.zip: ")
    return str(caught.value)


@pytest.fixture
def canary(tmp_path):
    return tmp_path / "canary"


def test_the_payload_of_these_tests_runs_when_it_is_unpickled(canary):
    pickle.loads(payload(canary))
    assert canary.exists()


def test_a_zip_gives_the_layers_of_its_policy_and_not_those_of_its_value():
    arrays = ppo_arrays((4, 8, 6, 3))
    saved = read_sb3(sb3_zip(arrays), "policy.zip")
    names = ["mlp_extractor.policy_net.0", "mlp_extractor.policy_net.2", "action_net"]
    for layer, name in zip(saved.stack, names, strict=True):
        np.testing.assert_array_equal(layer.weight, arrays[f"{name}.weight"])
        np.testing.assert_array_equal(layer.bias, arrays[f"{name}.bias"])
    assert (saved.head, saved.activation, saved.squash) == (Head.CATEGORICAL, Function.TANH, False)


def test_shared_layers_come_before_those_of_the_policy():
    arrays = ppo_arrays((4, 8, 3))
    shared = {
        f"mlp_extractor.shared_net.0.{part}": np.eye(4, dtype="f4")[0 if part == "bias" else slice(None)]
        for part in ("weight", "bias")
    }
    saved = read_sb3(sb3_zip(shared | arrays), "policy.zip")
    assert [layer.weight.shape for layer in saved.stack] == [(4, 4), (8, 4), (3, 8)]


def test_a_transposed_tensor_is_read_by_its_strides():
    weight = np.asfortranarray(np.arange(6, dtype="f4").reshape(2, 3))
    code = program({"0.weight": tensor("0", 6, (2, 3), (1, 2))})
    state = read_state(torch_file({"0.weight": weight.T}, code), "policy.zip")
    np.testing.assert_array_equal(state["0.weight"], weight)


def test_an_activation_is_read_from_plain_text_and_not_guessed_from_pickled_text():
    relu = {"activation_fn": "<class 'torch.nn.modules.activation.ReLU'>", ":serialized:": "x"}
    assert read_sb3(sb3_zip(data=ppo_data(policy_kwargs=relu)), "p").activation is Function.RELU
    assert read_sb3(sb3_zip(data=ppo_data(policy_kwargs={":serialized:": "x"})), "p").activation is None
    mish = {"activation_fn": "<class 'torch.nn.modules.activation.Mish'>"}
    assert "the activation Mish" in refused(sb3_zip(data=ppo_data(policy_kwargs=mish)))


def test_a_payload_in_a_serialized_field_is_never_touched(canary):
    data = ppo_data(serialized=serialized(canary), policy_kwargs={":serialized:": serialized(canary)})
    read_sb3(sb3_zip(data=data), "policy.zip")
    assert not canary.exists()


def test_a_payload_in_the_weights_is_named_and_not_obeyed(canary):
    told = refused(sb3_zip(policy=torch_file({}, payload(canary))))
    assert "policy.pth: archive/data.pkl asks for posix.system" in told
    assert not canary.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04" + text("posix") + text("system") + b"\x93" + text("touch CANARY") + b"\x85R.",
        b"cbuiltins\neval\n(" + text("open('CANARY', 'w')") + b"tR.",
        b"(" + text("touch CANARY") + b"iposix\nsystem\n.",
        b"(cposix\nsystem\n" + text("touch CANARY") + b"o.",
        b"ctorch._utils\n_rebuild_tensor\n)R.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"\x80\x02\x82\x01.",
        b"Pstorage\n.",
        b"\x80\x05\x97.",
    ],
    ids=["stack-global", "eval", "inst", "obj", "other-torch", "newobj", "extension", "text-id", "buffer"],
)
def test_no_instruction_that_could_call_anything_is_obeyed(code, canary):
    refused(torch_file({}, code.replace(b"CANARY", str(canary).encode())), read_state)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (program({"w": tensor("0", 4, (5,), (1,))}), "which its storage of 4 numbers does not hold"),
        (program({"w": tensor("0", 4, (2, 2), (4, 1))}), "which its storage of 4 numbers does not hold"),
        (program({"w": tensor("0", 4, (2,), (1,), offset=3)}), "which its storage of 4 numbers does not hold"),
        (program({"w": tensor("0", 4, (2,), (-1,), offset=1)}), "describes a tensor that is none"),
        (program({"w": tensor("0", 4, (-2,), (1,))}), "describes a tensor that is none"),
        (program({"w": tensor("0", 4, (2,), (1,), offset=-1)}), "describes a tensor that is none"),
        (program({"w": tensor("0", 4, (2, 2), (1,))}), "describes a tensor that is none"),
        (program({"w": tensor("0", 4, (1 << 30, 1 << 30), (0, 0))}), "does not hold"),
        (program({"w": tensor("0", 4, (1,) * 9, (1,) * 9)}), "a tensor of 9 axes"),
        (program({"w": tensor("0", 5, (2,), (1,))}), "says that storage 0 holds 5 numbers"),
        (program({"w": tensor("0", 4, (2,), (1,), kind="torch DoubleStorage")}), "holds 4 numbers of float64"),
        (program({"w": tensor("0", 4, (2,), (1,), kind="torch QInt8Storage")}), "asks for torch.QInt8Storage"),
        (program({"w": tensor("../../data", 4, (2,), (1,))}), "holds no archive/data/../../data"),
        (program({"w": tensor("9", 4, (2,), (1,))}), "holds no archive/data/9"),
        (
            program({"w": tensor("0", 4, (2,), (1,), rebuild="torch._utils _rebuild_parameter")}),
            "asks for torch._utils",
        ),
        (program({"w": text("four")}), "'w' must be a tensor"),
        (
            b"\x80\x02ccollections\nOrderedDict\n)R(" + (text("w") + tensor("0", 4, (2,), (1,))) * 2 + b"u.",
            "gives 'w' twice",
        ),
        (tensor("0", 4, (2,), (1,)) + b".", "must be a dictionary of tensors"),
        (b"ccollections\nOrderedDict\n}b.", "changes something that is no dictionary"),
        (b"N" * 50 + b".", "is damaged"),
        (b"h\x05.", "is damaged"),
        (b"t.", "is damaged"),
        (b"(N\x86.", "is damaged"),
        (b"", "is damaged"),
    ],
    ids=range(24),
)
def test_a_description_of_tensors_that_lies_is_refused(code, said):
    assert said in refused(torch_file({"w": np.zeros(4, "f4")}, code), read_state)


def test_nested_tuples_that_would_print_for_ever_are_refused_at_once():
    doubled = b")" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(200))
    assert "is damaged" in refused(torch_file({}, doubled + b"q\xff\x93."), read_state)
    assert "dictionary" in refused(torch_file({}, doubled + b"."), read_state)


def test_many_tensors_over_one_storage_do_not_fill_the_memory():
    count = 1 << 21
    code = program({f"w{n}": tensor("0", count, (count,), (1,)) for n in range(20)})
    assert "describes more than" in refused(torch_file({"w": np.zeros(count, "f4")}, code), read_state)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused_with_their_place(bad):
    arrays = ppo_arrays()
    arrays["action_net.weight"][1, 2] = bad
    assert f"action_net.weight must hold finite numbers, holds {bad} at [1, 2]" in refused(sb3_zip(arrays))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action_net.weight": np.zeros((3, 7), "f4")}, "takes 7 numbers, the one before it gives 8"),
        ({"action_net.bias": np.zeros(2, "f4")}, "must have a bias of (3,), has (2,)"),
        ({"action_net.weight": np.zeros((3, 8, 1), "f4")}, "must have weights of (outputs, inputs)"),
        ({"action_net.weight": np.zeros((0, 8), "f4"), "action_net.bias": np.zeros(0, "f4")}, "must have weights of"),
        ({"features_extractor.cnn.0.weight": np.zeros((3, 8), "f4")}, "besides a feed-forward policy"),
        ({"mlp_extractor.policy_net.9.weight": np.zeros((3, 8), "f4")}, "holds no mlp_extractor.policy_net.9.bias"),
    ],
    ids=range(6),
)
def test_layers_that_do_not_fit_are_refused(change, said):
    assert said in refused(sb3_zip(ppo_arrays() | change))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (ppo_data(inputs=5), "data says observations of shape [5], policy.pth takes 4"),
        (ppo_data(actions=4), "data says 4 actions, policy.pth gives 3"),
        (
            ppo_data(action_space={":type:": "<class 'gymnasium.spaces.multi_discrete.MultiDiscrete'>"}),
            "must name a Discrete",
        ),
        ([], "data must be a mapping"),
        ({}, "must name a Discrete or a Box action space"),
    ],
    ids=range(5),
)
def test_json_that_contradicts_the_weights_is_refused(data, said):
    assert said in refused(sb3_zip(data=data))


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil", "leads out of the archive"),
        ("a/../../evil", "leads out of the archive"),
        ("/etc/passwd", "leads out of the archive"),
        ("..\\evil", "leads out of the archive"),
        ("C:evil", "leads out of the archive"),
        ("a\nb", "leads out of the archive"),
        (link("policy.optimizer.pth"), "is a link or device, not a file"),
    ],
    ids=range(7),
)
def test_an_entry_that_leaves_its_archive_is_refused_even_if_nobody_reads_it(name, said):
    assert said in refused(sb3_zip(extra=[(name, b"x")]))


def test_a_name_that_zip_programs_cut_at_a_nul_is_refused():
    whole = sb3_zip(extra=[("data_.txt", b"x")]).replace(b"data_.txt", b"data\0.txt")
    assert "leads out of the archive" in refused(whole)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["data", "policy.pth", "system_info.txt"])
def test_a_name_that_stands_there_twice_is_refused(name):
    extra = [(name, b"x")] * 2
    assert "stands there twice" in refused(sb3_zip(extra=extra))


def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = sb3_zip(extra=[("policy.optimizer.pth", b"\0" * 50_000_000)], compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 200_000
    assert "at most 100 times as many are read" in refused(bomb)


def test_a_bomb_inside_the_weights_is_refused_too():
    inside = zipped(
        [("archive/data.pkl", b"."), ("archive/data/0", b"\0" * 50_000_000)], compression=zipfile.ZIP_DEFLATED
    )
    assert "at most 100 times as many are read" in refused(sb3_zip(policy=inside))


def lying(size):
    """A zip whose directory says that `data` unpacks to `size` bytes."""
    whole = bytearray(sb3_zip())
    at = directory(whole)
    whole[at + 20 : at + 28] = struct.pack("<II", size, size)
    return bytes(whole)


@pytest.mark.parametrize("size", [3, 0xFFFF_FFF0])
def test_a_directory_that_lies_about_lengths_is_refused(size):
    refused(lying(size))


def test_entries_that_overlap_are_refused():
    whole = bytearray(sb3_zip(extra=[("a", b"x" * 400), ("b", b"x" * 400)]))
    at = whole.rindex(b"PK\x01\x02")
    first = whole.index(b"PK\x03\x04" + whole[at + 6 : at + 10])
    whole[at + 42 : at + 46] = struct.pack("<I", first)
    refused(bytes(whole))


def test_an_encrypted_entry_and_an_odd_compression_are_refused():
    whole = bytearray(sb3_zip())
    at = directory(whole)
    whole[at + 8] |= 1
    assert "is encrypted" in refused(bytes(whole))
    assert "compressed by method 14" in refused(sb3_zip(compression=zipfile.ZIP_LZMA))


def test_a_directory_of_too_many_entries_is_refused():
    assert "at most 4096 entries" in refused(b"PK\x01\x02" * 5_000 + sb3_zip())


def test_every_beginning_of_a_good_file_is_refused():
    good = sb3_zip()
    for length in range(0, len(good), 7):
        refused(good[:length])
    inside = torch_file(ppo_arrays())
    for length in range(0, len(inside), 97):
        refused(sb3_zip(policy=inside[:length]))


@pytest.mark.parametrize("missing", ["data", "policy.pth"])
def test_a_zip_without_what_it_needs_says_so(missing):
    entries = {"data": json.dumps(ppo_data()), "policy.pth": torch_file(ppo_arrays())}
    del entries[missing]
    assert f"holds no {missing}" in refused(zipped(list(entries.items())))


def box(low, high):
    return {":type:": "<class 'gymnasium.spaces.box.Box'>", "_shape": [3], "low": low, "high": high}


def test_a_box_of_directions_and_sizes_is_read_and_no_other():
    assert read_sb3(sb3_zip(data=ppo_data(action_space=box("[-1. -1.  0.]", "[1. 1. 1.]"))), "p").head is Head.BOX
    for low, high in (("[-3. -1. -1.]", "[1. 1. 1.]"), ("[-1. -1. -1.]", "[1. 2. 1.]"), ("-inf", "1.")):
        assert "a box of directions" in refused(sb3_zip(data=ppo_data(action_space=box(low, high))))
