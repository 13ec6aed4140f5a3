"""What a verdict binds is hashed whole, and only where it is what its manifest says."""

import hashlib
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.artifact.making import artefact
from wfbt.errors import ArtifactError, ConfigError
from wfbt.gate.hashes import MANIFEST, data_files, data_hash, file_hash, model_hash
from wfbt.policy.artifact import manifest

from .deployment import flipped

DIGESTS = st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=5)


@pytest.fixture
def folder(tmp_path):
    artefact(tmp_path / "model")
    return tmp_path / "model"


def rewritten(folder, change):
    tree = json.loads((folder / MANIFEST).read_text())
    change(tree)
    (folder / MANIFEST).write_text(json.dumps(tree))


def test_a_model_is_its_manifest_and_every_file_that_it_names(folder):
    # By hand: names and hashes of all files of the folder, sorted, as JSON without spaces.
    held = [[one.name, hashlib.sha256(one.read_bytes()).hexdigest()] for one in sorted(folder.iterdir())]
    told = json.dumps(held, separators=(",", ":")).encode()
    assert [name for name, _ in held] == [MANIFEST, "probes.safetensors", "seed-0.safetensors", "seed-1.safetensors"]
    assert model_hash(folder) == hashlib.sha256(told).hexdigest()


def test_a_file_of_the_folder_stands_for_the_whole_and_so_does_a_link_to_it(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    whole = model_hash(folder)
    for path in (*folder.iterdir(), tmp_path / "link"):
        assert model_hash(path) == whole


def test_what_the_manifest_does_not_name_is_no_part_of_the_model(folder):
    whole = model_hash(folder)
    (folder / "README.txt").write_text("hello")
    assert model_hash(folder) == whole
    with pytest.raises(ArtifactError, match=r"manifest.json: names no README.txt, but manifest.json"):
        model_hash(folder / "README.txt")


def test_one_changed_byte_of_any_file_is_another_model_or_none(folder):
    whole = model_hash(folder)
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for place in range(0, len(data), max(1, len(data) // 40)):
            path.write_bytes(flipped(data, place, place % 8))
            try:
                other = model_hash(folder)
            except ArtifactError:
                continue
            assert path.name == MANIFEST
            assert other != whole
        path.write_bytes(data)
    assert model_hash(folder) == whole


def test_a_changed_model_file_is_named(folder):
    path = next(folder.glob("*seed-1*"))
    path.write_bytes(flipped(path.read_bytes(), 100, 0))
    with pytest.raises(ArtifactError, match=f"{path.name}: has sha256 .* manifest.json says .* changed or exchanged"):
        model_hash(folder)


def test_a_model_without_a_manifest_is_refused(tmp_path):
    (tmp_path / "policy.safetensors").write_bytes(b"weights")
    for path in (tmp_path, tmp_path / "policy.safetensors"):
        with pytest.raises(ArtifactError, match=r"manifest.json: is missing; a model is judged and deployed with"):
            model_hash(path)


def test_a_path_that_leads_nowhere_is_a_matter_of_usage(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for name in ("absent", "loop", "a\0b"):
        with pytest.raises(ConfigError, match="no such file or folder"):
            model_hash(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/hostname", "..", ".", "", "sub/policy.safetensors", "a\0b", "x" * 5000]
)
def test_a_manifest_that_leads_out_of_its_folder_is_refused(folder, name):
    (folder.parent / "secret.safetensors").write_bytes(b"")
    empty = hashlib.sha256(b"").hexdigest()
    rewritten(folder, lambda tree: tree["models"].append({"file": name, "sha256": empty}))
    with pytest.raises(ArtifactError, match=r"must name files beside it|cannot be read"):
        model_hash(folder)


def test_a_file_that_the_manifest_names_and_nobody_brought_is_refused(folder):
    path = next(folder.glob("*seed-0*"))
    path.unlink()
    with pytest.raises(ArtifactError, match=f"{path.name}: cannot be read: No such file"):
        model_hash(folder)
    path.symlink_to(path.name)
    with pytest.raises(ArtifactError, match=f"{path.name}: cannot be read: Too many levels of symbolic links"):
        model_hash(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(ArtifactError, match=f"{path.name}: must be a regular file"):
        model_hash(folder)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ArtifactError, match=f"{path.name}: must be a regular file"):
        model_hash(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no JSON"),
        ("[]", "must be an object"),
        ("{}", "models is missing"),
        ('{"models": [], "probes": null}', "models: length must be >= 1"),
        ('{"models": [{"file": "x"}], "probes": null}', r"models\[0\]: sha256 is missing"),
        ('{"models": [{"file": "x", "sha256": "y"}], "probes": null}', r"models\[0\].sha256 must match"),
        ('{"models": [], "models": [], "probes": null}', "repeats the key 'models'"),
        ('{"models": NaN}', "holds NaN"),
        ("[" * 100_000, "is no JSON"),
        (" " * 4_000_001, "at most 4,000,000 bytes"),
    ],
)
def test_a_manifest_of_another_shape_is_refused(folder, text, words):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ArtifactError, match=words):
        model_hash(folder)


def test_the_manifest_has_the_name_that_its_reader_knows():
    assert MANIFEST == manifest.NAME


@given(DIGESTS)
def test_the_hash_of_data_does_not_depend_on_the_order_of_its_files(digests):
    assert data_hash(digests) == data_hash(reversed(digests)) == data_hash(sorted(digests))


@given(DIGESTS, DIGESTS)
def test_other_data_have_another_hash(some, others):
    assert (data_hash(some) == data_hash(others)) == (sorted(some) == sorted(others))


def test_data_are_the_parquet_files_below_folders_and_any_file_that_is_named(tmp_path):
    for name in ("b/2.parquet", "b/c/1.parquet", "b/notes.txt", "a.data"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "b" / "up").symlink_to(tmp_path)  # a loop, if it were followed
    found = data_files([tmp_path / "b", tmp_path / "a.data"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["b/2.parquet", "b/c/1.parquet", "a.data"]


def test_data_that_are_not_there_are_a_matter_of_usage(tmp_path):
    for path, words in ((tmp_path, "holds no .parquet file"), (tmp_path / "x", "no such file or folder")):
        with pytest.raises(ConfigError, match=words):
            data_files([path])


def test_a_file_is_hashed_by_its_bytes(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert file_hash(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    for name in (".", "absent", "a\0b"):
        with pytest.raises(ArtifactError, match=r"must be a regular file|cannot be read"):
            file_hash(tmp_path / name)
