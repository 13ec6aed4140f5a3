"""A deployer is told of everything that is not what was judged."""

import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wfbt
from tests.registry.ledgers import look
from wfbt.errors import ArtifactError, ConfigError, TrialsError, WfbtError
from wfbt.gate.attest import key_id
from wfbt.gate.hashes import MANIFEST
from wfbt.registry.trials import Trials

from .deployment import NOON, deployment, flipped
from .test_attest import PRIVATE_PEM, PUBLIC_PEM

HEAVY = ("numba", "numpy", "pandas", "pydantic", "pyarrow", "scipy")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return deployment(tmp_path_factory.mktemp("made"))


@pytest.fixture
def held(made, tmp_path):
    """A copy to spoil, with an unsigned verdict."""
    shutil.copytree(made.folder, tmp_path / "held")
    copy = replace(made, folder=tmp_path / "held")
    copy.write()
    return copy


def verify(held, model="model", *, now=NOON, verdict="verdict.json", **more):
    more.setdefault("allow_unsigned", "key" not in more)
    paths = {name: held.at(value) if isinstance(value, str) else value for name, value in more.items()}
    return wfbt.verify(held.at(verdict), None if model is None else held.at(model), now=now, **paths)


EVERYTHING = {"strategy": "strategy.yaml", "data": "data", "trials": "trials.sqlite", "lock": "uv.lock"}


def signed(held):
    pytest.importorskip("cryptography", reason="signatures need the extra wfbt[gate]")
    held.write(private_key=PRIVATE_PEM)
    return held


def test_what_was_judged_is_what_is_deployed(held):
    found = verify(held, **EVERYTHING)
    assert found.compared == ("model", "lock", "trials", "strategy", "data")
    assert (found.signed_by, found.statement) == (None, held.statement)


def test_a_signed_verdict_holds_under_the_key_of_its_signer_alone(held):
    assert verify(signed(held), key="public.pem", **EVERYTHING).signed_by == key_id(PUBLIC_PEM)
    assert verify(held, key=PUBLIC_PEM).signed_by == key_id(PUBLIC_PEM)
    for more, words in (
        ({"key": "stranger.pem"}, "keyid: the envelope says"),
        ({"key": "private.pem"}, "must be an Ed25519 public key in PEM"),
        ({"allow_unsigned": True}, "no public key was given"),
    ):
        with pytest.raises(ArtifactError, match=words):
            verify(held, **more)


def test_an_unsigned_verdict_needs_leave_and_has_none_beside_a_key(held):
    for more in ({"allow_unsigned": False}, {"key": "public.pem", "allow_unsigned": True}):
        with pytest.raises(ArtifactError, match="is not signed"):
            verify(held, **more)


def test_only_what_was_given_is_compared(held):
    assert verify(held, model=None).compared == ()
    assert verify(held, data=[held.at("data/BTC"), held.at("data/ETH/bars.parquet")]).compared == ("model", "data")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model/seed-0.safetensors", "seed-0.safetensors: has sha256"),
        ("model/probes.safetensors", "probes.safetensors: has sha256"),
        (
            "strategy.yaml",
            "strategy sha256: the verdict binds .*; give the strategy file 'strategy.yaml', as it was run",
        ),
        ("uv.lock", "lock sha256: the verdict binds"),
        ("data/BTC/bars.parquet", "data: 'data/BTC/bars.parquet' of sha256 .* was changed since, or is another file"),
        ("verdict.json", "verdict.json"),
    ],
)
def test_a_flipped_bit_of_any_file_is_seen_and_the_file_is_named(held, name, words):
    path = held.at(name)
    data = path.read_bytes()
    for place in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(flipped(data, place, place % 8))
        with pytest.raises(ArtifactError, match=words):
            verify(held, **EVERYTHING)


def test_a_flipped_bit_of_a_manifest_is_seen(held):
    path = held.at("model") / MANIFEST
    data = path.read_bytes()
    for place in range(0, len(data), 23):
        path.write_bytes(flipped(data, place, place % 8))
        with pytest.raises(ArtifactError):
            verify(held)


def test_a_flipped_bit_of_the_ledger_is_seen_or_changes_nothing_that_was_written(held):
    path = held.at("trials.sqlite")
    data, entries = path.read_bytes(), list(Trials.open(path))
    caught = 0
    for place in range(0, len(data), 37):
        path.write_bytes(flipped(data, place, place % 8))
        try:
            verify(held, trials="trials.sqlite")
        except WfbtError:
            caught += 1
        else:
            assert list(Trials.open(path)) == entries
    assert caught > 20
    for text in (entries[0].sha256, entries[0].look.candidate, entries[1].look.code):
        spoilt = bytearray(data)
        spoilt[data.index(text.encode()) + 5] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(TrialsError):
            verify(held, trials="trials.sqlite")


def test_a_ledger_that_has_grown_is_the_same_ledger_and_one_that_was_cut_is_not(held):
    Trials.open(held.at("trials.sqlite")).record([look(3)])
    assert "trials" in verify(held, trials="trials.sqlite").compared
    other = Trials.open(held.at("other.sqlite"), create=True)
    other.record([look(1)])
    with pytest.raises(ArtifactError, match=f"trials: the verdict binds the head {held.statement.bound.trials[0]}"):
        verify(held, trials="other.sqlite")


def test_a_ledger_on_a_disk_that_cannot_be_written_is_proved_all_the_same(held):
    held.at("trials.sqlite").chmod(0o400)
    before = held.at("trials.sqlite").read_bytes()
    assert "trials" in verify(held, trials="trials.sqlite").compared
    assert held.at("trials.sqlite").read_bytes() == before


def test_a_verdict_without_trials_vouches_for_no_ledger(held):
    bound = replace(held.statement.bound, trials=(), reasons={"trials": "--first-look"})
    held.write(replace(held.statement, bound=bound))
    with pytest.raises(ArtifactError, match=r"trials: the verdict binds no trial ledger \(--first-look\)"):
        verify(held, trials="trials.sqlite")


def test_files_may_lie_elsewhere_and_be_called_otherwise(held):
    held.at("data/BTC/bars.parquet").rename(held.at("data/btc.parquet"))
    held.at("data").rename(held.at("elsewhere"))
    assert "data" in verify(held, data="elsewhere").compared


def test_data_that_are_missing_are_counted_and_one_is_named(held):
    shutil.rmtree(held.at("data"))
    held.at("data").mkdir()
    held.at("data/x.parquet").write_bytes(b"other")
    with pytest.raises(
        ArtifactError, match=r"'data/BTC/bars.parquet' .* is not there under any name, and 1 more are not"
    ):
        verify(held, data="data")


def test_links_are_followed_to_what_they_lead_to(held):
    held.at("store").mkdir()
    for number, name in enumerate(
        ("model/seed-0.safetensors", "data/BTC/bars.parquet", "strategy.yaml", "verdict.json")
    ):
        held.at(name).rename(held.at(f"store/{number}"))
        held.at(name).symlink_to(held.at(f"store/{number}"))
    assert len(verify(held, **EVERYTHING).compared) == 5
    held.at("store/0").write_bytes(b"other weights")
    with pytest.raises(ArtifactError, match=r"seed-0.safetensors: has sha256"):
        verify(held)


def test_a_verdict_holds_until_it_expires_and_not_before_it_was_issued(held):
    statement = held.statement
    verify(held, now=statement.expires - timedelta(seconds=1))
    with pytest.raises(ArtifactError, match="expired at 2026-03-31T12:00:00Z"):
        verify(held, now=statement.expires)
    with pytest.raises(ArtifactError, match="was issued at 2026-03-01T12:00:00Z, and it is 2026-03-01T11:59:59Z"):
        verify(held, now=statement.issued - timedelta(seconds=1))


def test_without_a_time_it_is_now(held):
    now = datetime.now(UTC).replace(microsecond=0)
    held.write(replace(held.statement, issued=now - timedelta(days=1), expires=now + timedelta(days=1)))
    assert verify(held, now=None).compared == ("model",)
    held.write(replace(held.statement, issued=now - timedelta(days=3), expires=now - timedelta(days=1)))
    with pytest.raises(ArtifactError, match="expired"):
        verify(held, now=None)


@pytest.mark.parametrize("status", ["FAIL", "REFUSED", "INCONCLUSIVE"])
def test_what_did_not_pass_is_not_deployed(held, status):
    held.write(replace(held.statement, status=status))
    with pytest.raises(ArtifactError, match=f"the verdict is {status}, must be PASS; do not deploy"):
        verify(held)


def test_another_model_is_named_with_both_hashes(held, tmp_path):
    from tests.policy.artifact.making import artefact

    artefact(tmp_path / "other", seeds=(5,))
    with pytest.raises(ArtifactError, match=f"model sha256: the verdict binds {held.statement.bound.model}"):
        wfbt.verify(held.at("verdict.json"), tmp_path / "other", allow_unsigned=True, now=NOON)


def test_a_strategy_in_place_of_the_model_does_not_vouch_for_the_model(held):
    with pytest.raises(ArtifactError, match=r"is on a model, and .*strategy.yaml is a strategy; give the model"):
        verify(held, model="strategy.yaml")


@pytest.mark.parametrize(("bound", "right", "wrong"), [("strategy.yaml", "strategy.yaml", "run"),
                                                       ("config.resolved.yaml", "run", "strategy.yaml")])  # fmt: skip
def test_a_rule_is_verified_by_the_strategy_that_was_bound(tmp_path, bound, right, wrong):
    rule = deployment(tmp_path, model=False, strategy_file=bound)
    rule.write()
    for more in ({"model": right}, {"model": None, "strategy": right}):
        assert verify(rule, **more).compared == ("strategy",)
    which = "config.resolved.yaml of the run folder" if right == "run" else "the strategy file 'strategy.yaml'"
    with pytest.raises(ArtifactError, match=f"; give {which}"):
        verify(rule, model=wrong)
    with pytest.raises(ArtifactError, match=r"model sha256: the verdict binds none \(a rule has no model file\)"):
        verify(rule, model="model")


def test_a_strategy_is_given_once(held):
    with pytest.raises(ConfigError, match="is a strategy already"):
        verify(held, model="strategy.yaml", strategy="strategy.yaml")


@pytest.mark.parametrize("name", ["key", "strategy", "criteria", "data", "trials", "lock"])
def test_a_path_that_leads_nowhere_is_a_matter_of_usage(held, name):
    with pytest.raises(WfbtError, match=r"no such file|there is no trial ledger") as caught:
        verify(held, **{name: "nowhere", "allow_unsigned": True})
    assert caught.value.exit_code == 2


def test_a_verdict_or_a_model_that_is_not_there_is_a_matter_of_usage(held):
    for more in ({"verdict": "nowhere.json"}, {"model": "nowhere"}, {"model": "nowhere.yaml"}):
        with pytest.raises(ConfigError, match="no such file"):
            verify(held, **more)
    with pytest.raises(ConfigError, match=r"is a folder without config.resolved.yaml"):
        verify(held, strategy="data")


def test_what_is_no_file_is_refused_without_waiting_for_it(held):
    for name in ("verdict", "lock", "strategy"):
        more = {"verdict": "data"} if name == "verdict" else {name: Path("/dev/zero")}
        with pytest.raises(ArtifactError, match="must be a regular file"):
            verify(held, **more)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_mutated_verdict_is_refused_in_one_message(held, data):
    raw = bytearray(held.write().read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw)))
        raw[start : start + data.draw(st.integers(0, 200))] = data.draw(st.binary(max_size=60))
    if bytes(raw) == held.at("verdict.json").read_bytes():
        return
    held.at("verdict.json").write_bytes(raw)
    with pytest.raises(WfbtError):
        verify(held, **EVERYTHING, criteria="default")


def test_a_key_that_openssl_made_signs_and_verifies(held):
    pytest.importorskip("cryptography", reason="signatures need the extra wfbt[gate]")
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    private, public = held.at("made.pem"), held.at("made.pub.pem")
    subprocess.run([openssl, "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
    subprocess.run([openssl, "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    held.write(private_key=private.read_bytes())
    assert verify(held, key="made.pub.pem").signed_by == key_id(public.read_bytes())


def test_verifying_all_but_criteria_takes_no_compiler_no_arrays_and_no_frames(held):
    code = (
        "import sys, wfbt; from datetime import datetime; "
        "wfbt.verify('verdict.json', 'model', key='public.pem', strategy='strategy.yaml', data='data', "
        "trials='trials.sqlite', lock='uv.lock', now=datetime.fromisoformat('2026-03-02T00:00:00+00:00')); "
        f"print(sorted({{*{HEAVY}}} & set(sys.modules)))"
    )
    signed(held)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=held.folder,
                          env={"PYTHONPATH": str(Path(wfbt.__file__).parents[1])})  # fmt: skip
    assert done.stdout.strip() == "[]"
