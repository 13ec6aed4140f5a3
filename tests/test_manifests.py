"""What a run folder says of the files that it was made of."""

from tests.runs import write_study
from wfbt.config.load import load_strategy
from wfbt.gate.hashes import file_hash
from wfbt.manifests import input_files


def test_each_file_behind_one_address_has_a_place_and_a_hash_of_its_own(tmp_path):
    path = write_study(tmp_path)
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("a.parquet", "b.parquet"):
        (parts / name).write_bytes(name.encode())
    symbol = next(iter(load_strategy(path).data.symbols))
    config = load_strategy(path, overrides=[f"data.symbols.{symbol}.bars=file://{parts}/*.parquet"])
    found = {one["path"]: one["sha256"] for one in input_files(config, tmp_path / "run") if one["role"] == "bars"}
    assert found == {f"file://{parts / name}": file_hash(parts / name) for name in ("a.parquet", "b.parquet")}
