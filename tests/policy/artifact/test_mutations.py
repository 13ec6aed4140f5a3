"""Whatever is done to the bytes of a good file: refused, or read as finite numbers that the probes confirm."""

import io
import math
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.policy.artifact.forging import ppo_arrays, sb3_zip, torch_file
from tests.policy.artifact.making import architecture, artefact, level, network, observations, scaling, signed
from wfbt.errors import ArtifactError
from wfbt.policy.artifact.building import network_tensors
from wfbt.policy.artifact.load import load_artifact
from wfbt.policy.artifact.models import read_model
from wfbt.policy.artifact.tensors import read_tensors
from wfbt.policy.artifact.torch_state import read_state

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
POSITION = st.floats(0, 1, exclude_max=True)


@st.composite
def edits(draw):
    """Places, as shares of the length, and what is done there."""
    kinds = st.sampled_from(["flip", "set", "cut", "insert", "repeat", "drop"])
    return draw(st.lists(st.tuples(kinds, POSITION, st.binary(min_size=1, max_size=8)), min_size=1, max_size=5))


def edited(data, changes):
    out = bytearray(data)
    for kind, where, new in changes:
        at = math.floor(where * len(out)) if out else 0
        match kind:
            case "flip" if out:
                out[at] ^= new[0] or 1
            case "set":
                out[at : at + len(new)] = new
            case "cut":
                del out[at:]
            case "insert":
                out[at:at] = new
            case "repeat":
                out[at:at] = out[at : at + 8 * len(new)]
            case "drop":
                del out[at : at + len(new)]
    return bytes(out)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("mutated") / "policy"
    artefact(place, seeds=(0,), normaliser=scaling(4))
    return place


def either_refused_or_right(folder):
    rows = observations(4)
    trained = network(architecture(), scaling(4), 0).values(rows)
    try:
        found = load_artifact(folder).members[0].levels["policy"]
    except ArtifactError:
        return
    np.testing.assert_allclose(found.values(rows), trained, rtol=0, atol=1.1e-4)
    assert all(np.isfinite(array).all() for array in network_tensors(found).values())


@pytest.mark.parametrize("name", ["seed-0.safetensors", "probes.safetensors"])
@SETTINGS
@given(changes=edits())
def test_a_changed_file_with_a_fitting_hash_is_refused_or_right(name, folder, changes):
    good = {path: path.read_bytes() for path in folder.iterdir()}
    try:
        signed(folder, name, edited(good[folder / name], changes))
        if name == "seed-0.safetensors":
            either_refused_or_right(folder)
        else:
            either_refused_or_loaded(folder)
    finally:
        for path, data in good.items():
            path.write_bytes(data)


def either_refused_or_loaded(folder):
    try:
        found = load_artifact(folder)
    except ArtifactError:
        return
    assert found.parity <= 1e-4


@SETTINGS
@given(changes=edits())
def test_a_changed_manifest_is_refused_or_describes_the_same_network(folder, changes):
    path = folder / "manifest.json"
    good = path.read_bytes()
    try:
        path.write_bytes(edited(good, changes))
        either_refused_or_right(folder)
    finally:
        path.write_bytes(good)


def read_or_refused(data, name):
    """The zip reader on forged bytes: finite weights or ArtifactError, and no warning."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = read_model(data, level(), 4, name)
    except ArtifactError:
        return
    assert all(np.isfinite(array).all() for array in network_tensors(found).values())


@settings(SETTINGS, max_examples=400)
@given(changes=edits())
def test_a_changed_zip_is_refused_or_read_as_finite_numbers(changes):
    read_or_refused(edited(sb3_zip(), changes), "policy.zip")


@settings(SETTINGS, max_examples=400)
@given(changes=edits())
def test_changed_weights_inside_a_good_zip_are_refused_or_read_as_finite_numbers(changes):
    read_or_refused(sb3_zip(policy=edited(torch_file(ppo_arrays()), changes)), "policy.zip")


@settings(SETTINGS, max_examples=600)
@given(changes=edits())
def test_a_changed_program_of_tensors_is_refused_or_stays_inside_its_storages(changes):
    arrays = ppo_arrays((3, 4, 2))
    good = zipfile.ZipFile(io.BytesIO(torch_file(arrays))).read("archive/data.pkl")
    try:
        state = read_state(torch_file(arrays, edited(good, changes)), "policy.pth")
    except ArtifactError:
        return
    held = np.concatenate([array.ravel() for array in arrays.values()])
    for array in state.values():
        assert array.dtype.kind != "f" or array.dtype.itemsize != 4 or np.isin(array, held).all()


@settings(SETTINGS, max_examples=300)
@given(data=st.binary(max_size=300), header=st.binary(max_size=8))
def test_bytes_that_nobody_wrote_as_a_model_are_refused(data, header):
    for name in ("policy.safetensors", "policy.zip"):
        with pytest.raises(ArtifactError):
            read_model(header + data, level(), 4, name)


@SETTINGS
@given(changes=edits())
def test_a_changed_graph_is_refused_or_read_as_finite_numbers(changes):
    pytest.importorskip("onnx", reason="reading ONNX needs wfbt[onnx]")
    from tests.policy.artifact.graphs import mlp

    read_or_refused(edited(mlp().SerializeToString(), changes), "policy.onnx")


@pytest.mark.slow
@settings(SETTINGS, max_examples=200)
@given(changes=edits(), kind=st.sampled_from(["lstm", "attention", "tree"]))
def test_a_changed_graph_that_is_run_is_refused_or_gives_finite_numbers(changes, kind):
    pytest.importorskip("onnxruntime", reason="running ONNX needs wfbt[onnx]")
    from tests.policy.artifact import graphs
    from tests.policy.artifact.test_graph import STATES, graph_level, ports
    from wfbt.errors import PolicyError

    model = {"lstm": lambda: graphs.lstm()[0], "attention": lambda: graphs.attention()[0], "tree": graphs.tree}[kind]()
    told = {"lstm": ports(states=STATES), "attention": ports(window=6), "tree": ports()}[kind]
    try:
        found = read_model(edited(model.SerializeToString(), changes), graph_level(told), 4, "policy.onnx")
        values = found.values(observations(4, 20))
    except (ArtifactError, PolicyError):
        return
    assert np.isfinite(values[told.window - 1 :]).all()


def test_the_good_files_of_these_tests_are_good(folder):
    assert load_artifact(folder).parity <= 1e-6
    read_model(sb3_zip(), level(), 4, "policy.zip")
    assert read_tensors((folder / "seed-0.safetensors").read_bytes(), "f")
    assert edited(b"abc", [("cut", 0.5, b"x")]) == b"a"
