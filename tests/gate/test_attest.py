"""A verdict holds for what it names, for a time, and in the bytes it was sealed in."""

import base64
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfbt.errors import ArtifactError
from wfbt.gate.attest import ALWAYS, HASHES, PAYLOAD_TYPE, Bound, Statement, key_id, pae, seal, verify

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HELD = {name: f"{number:x}" * 64 for number, name in enumerate(HASHES, 1)}
HEADS = ("a" * 64, "b" * 64)
BOUND = Bound(**HELD, trials=HEADS)
STATEMENT = Statement(
    status="PASS",
    bound=BOUND,
    version="0.1.0",
    seed=7,
    issued=NOON,
    expires=NOON + timedelta(days=30),
    findings={"sharpe_z": {"value": 3.1, "passed": True}, "pbo": {"value": None, "why_not": "σ unknown"}},
)
UNSIGNED = seal(STATEMENT)

# RFC 8032, section 7.1, test 1: secret key, public key, signature of the empty message.
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def pem(kind, prefix, raw):
    body = base64.b64encode(bytes.fromhex(prefix) + raw).decode()
    return f"-----BEGIN {kind} KEY-----\n{body}\n-----END {kind} KEY-----\n".encode()


PRIVATE_PEM = pem("PRIVATE", "302e020100300506032b657004220420", SECRET)
PUBLIC_PEM = pem("PUBLIC", "302a300506032b6570032100", PUBLIC)
STRANGER_PEM = pem("PUBLIC", "302a300506032b6570032100", PUBLIC[::-1])


@pytest.fixture(scope="module")
def signed():
    pytest.importorskip("cryptography", reason="signatures need cryptography")
    return seal(STATEMENT, PRIVATE_PEM)


def check(envelope=UNSIGNED, *, now=NOON, held=HELD, **more):
    more.setdefault("allow_unsigned", "key" not in more)
    return verify(envelope, "verdict.json", now=now, given=held, **more)


def flipped(data, place, bit):
    changed = bytearray(data)
    changed[place] ^= 1 << bit
    return bytes(changed)


def resealed(change):
    """An unsigned envelope whose payload was changed by somebody who knows how its checksum is made."""
    tree = json.loads(base64.b64decode(json.loads(UNSIGNED)["payload"]))
    change(tree)
    payload = json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()
    return enveloped(payload)


def enveloped(payload):
    tree = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "sha256": hashlib.sha256(pae(PAYLOAD_TYPE, payload)).hexdigest(),
        "signatures": [],
    }
    return json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()


def test_the_bytes_that_are_signed_are_those_of_the_published_vector():
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_of_bytes_and_not_of_characters():
    assert pae("é", "σ".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xcf\x83"


def test_what_was_sealed_is_what_is_read():
    found = check()
    assert found.statement == STATEMENT
    assert found.signed_by is None
    assert found.compared == HASHES


def test_the_payload_is_an_in_toto_statement_about_model_and_strategy():
    tree = json.loads(base64.b64decode(json.loads(UNSIGNED)["payload"]))
    assert tree["_type"] == "https://in-toto.io/Statement/v1"
    assert [one["name"] for one in tree["subject"]] == ["model", "strategy"]
    assert tree["subject"][0]["digest"] == {"sha256": HELD["model"]}


def test_sealing_twice_gives_the_same_bytes():
    assert seal(replace(STATEMENT)) == UNSIGNED


@settings(max_examples=400, deadline=None)
@given(place=st.integers(0, len(UNSIGNED) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_of_an_unsigned_envelope_is_seen(place, bit):
    with pytest.raises(ArtifactError, match=r"^verdict\.json: "):
        check(flipped(UNSIGNED, place, bit))


def test_a_flipped_bit_in_any_byte_of_a_signed_envelope_is_seen(signed):
    for place in range(len(signed)):
        with pytest.raises(ArtifactError):
            check(flipped(signed, place, place % 8), key=PUBLIC_PEM)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_envelope_are_refused_in_one_message(data):
    with pytest.raises(ArtifactError):
        check(data)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":1,"a":1}', b"NaN", b"9" * 5000, b" " * 2_000_000, b"null"])
def test_json_that_bites_is_refused(text):
    with pytest.raises(ArtifactError):
        check(text)
    with pytest.raises(ArtifactError):
        check(enveloped(text))


def test_an_envelope_that_was_formatted_is_refused():
    with pytest.raises(ArtifactError, match="edited or formatted"):
        check(json.dumps(json.loads(UNSIGNED), indent=1).encode())


@pytest.mark.parametrize("name", HASHES)
def test_each_hash_that_differs_is_named_with_both_values(name):
    other = "f" * 64
    with pytest.raises(ArtifactError) as caught:
        check(held=HELD | {name: other})
    assert f"{name} sha256: the verdict binds {HELD[name]}, what was given has {other}" in str(caught.value)


def test_only_what_was_given_is_compared():
    assert check(held={"model": HELD["model"]}, trials=set(HEADS)).compared == ("model", "trials")


def test_a_hash_that_no_verdict_binds_is_refused():
    with pytest.raises(ArtifactError, match="binds no hash called 'modle'"):
        check(held={"modle": "1" * 64})


def test_a_model_beside_a_verdict_on_a_rule_is_refused_with_the_reason():
    bound = replace(BOUND, model=None, reasons={"model": "a rule has no file"})
    envelope = seal(replace(STATEMENT, bound=bound))
    with pytest.raises(ArtifactError, match=r"model sha256: the verdict binds none \(a rule has no file\)"):
        check(envelope)
    assert check(envelope, held={"strategy": HELD["strategy"]}).statement.bound.model is None


def test_what_is_missing_needs_a_reason_and_what_is_there_none():
    for given_reasons in ({}, {"model": ""}, {"model": "\x1b[2J"}, {"model": "none", "lock": "none"}):
        with pytest.raises(ArtifactError, match="reasons: must say why"):
            replace(BOUND, model=None, reasons=given_reasons)


@pytest.mark.parametrize("name", ALWAYS)
def test_what_every_run_has_cannot_be_missing(name):
    with pytest.raises(ArtifactError, match=f"{name} sha256"):
        replace(BOUND, **{name: None}, reasons={name: "lost"})


def test_a_trial_ledger_that_lacks_a_head_was_cut():
    assert check(trials={*HEADS, "c" * 64}).compared[-1] == "trials"
    with pytest.raises(ArtifactError, match=f"binds the head {HEADS[1]}, the trial ledger given has no such entry"):
        check(trials={HEADS[0], "c" * 64})


def test_a_verdict_holds_from_its_first_second_to_before_its_last():
    check(now=STATEMENT.issued)
    check(now=STATEMENT.expires - timedelta(seconds=1))
    with pytest.raises(ArtifactError, match="expired at 2026-03-31T12:00:00Z, and it is 2026-03-31T12:00:00Z"):
        check(now=STATEMENT.expires)
    with pytest.raises(ArtifactError, match="was issued at 2026-03-01T12:00:00Z, and it is 2026-03-01T11:59:59Z"):
        check(now=STATEMENT.issued - timedelta(seconds=1))


@pytest.mark.parametrize("status", ["FAIL", "REFUSED", "INCONCLUSIVE"])
def test_a_verdict_that_did_not_pass_does_not_deploy_unless_asked_for(status):
    envelope = seal(replace(STATEMENT, status=status))
    with pytest.raises(ArtifactError, match=f"the verdict is {status}, must be PASS"):
        check(envelope)
    assert check(envelope, accept=(status,)).statement.status == status


def test_unsigned_is_refused_unless_allowed_and_always_where_a_key_is_given():
    for more in ({"allow_unsigned": False}, {"allow_unsigned": True, "key": PUBLIC_PEM}):
        with pytest.raises(ArtifactError, match="is not signed"):
            check(**more)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tree: tree["predicate"].update(status="BEST"), "status: must be one of"),
        (lambda tree: tree["predicate"].update(extra=1), "predicate: must be an object of"),
        (lambda tree: tree["subject"].pop(), "subject: must name what"),
        (lambda tree: tree["subject"][0]["digest"].update(sha256="f" * 64), "subject: must name what"),
        (lambda tree: tree.update(_type="https://in-toto.io/Statement/v0.1"), "_type must be"),
        (lambda tree: tree["predicate"].update(seed=True), "seed: must be a whole number"),
        (lambda tree: tree["predicate"].update(expires="2026-02-30T00:00:00Z"), "expires: must be a time"),
        (lambda tree: tree["predicate"].update(findings=[]), "findings must be an object"),
        (lambda tree: tree["predicate"]["bound"].update(trials=[[]]), "trials sha256"),
    ],
)
def test_a_statement_of_another_shape_is_refused(change, words):
    with pytest.raises(ArtifactError, match=words):
        check(resealed(change))


def test_findings_that_are_no_plain_numbers_are_not_sealed():
    for value in (float("nan"), float("inf"), object(), {"a": {1: 0, "1": 0}}):
        with pytest.raises(ArtifactError):
            seal(replace(STATEMENT, findings={"x": value}))


def test_a_signed_verdict_names_its_signer_and_holds_under_their_key_alone(signed):
    assert check(signed, key=PUBLIC_PEM).signed_by == key_id(PUBLIC_PEM)
    assert seal(STATEMENT, PRIVATE_PEM) == signed
    with pytest.raises(ArtifactError, match="keyid: the envelope says"):
        check(signed, key=STRANGER_PEM)
    with pytest.raises(ArtifactError, match="no public key was given"):
        check(signed, allow_unsigned=True)


def test_a_payload_that_was_signed_by_nobody_does_not_pass_under_an_old_signature(signed):
    forged = json.loads(resealed(lambda tree: tree["predicate"].update(seed=8)))
    forged["signatures"] = json.loads(signed)["signatures"]
    with pytest.raises(ArtifactError, match=r"the signature .* does not hold"):
        check(json.dumps(forged, sort_keys=True, separators=(",", ":")).encode(), key=PUBLIC_PEM)


def test_the_key_of_the_published_vector_is_read_as_published(signed):
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(PRIVATE_PEM, password=None)
    assert key.public_key().public_bytes_raw() == PUBLIC
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


@pytest.mark.parametrize("text", [b"", b"secret", PRIVATE_PEM, PUBLIC_PEM[:-40], PUBLIC_PEM * 2])
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(ArtifactError, match="must be an Ed25519 public key in PEM"):
        key_id(text)


@pytest.mark.parametrize("text", [b"", b"secret", PUBLIC_PEM])
def test_what_is_no_private_key_is_refused(text):
    pytest.importorskip("cryptography", reason="signatures need cryptography")
    with pytest.raises(ArtifactError, match="must be an Ed25519 key in PEM"):
        seal(STATEMENT, text)


def test_verifying_imports_no_compiler_and_no_frames():
    heavy = "{'numba', 'pandas', 'numpy', 'pydantic'}"
    code = f"import sys; import wfbt.gate.attest; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
