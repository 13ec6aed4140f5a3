"""verdict.json says what was attested, byte for byte, and nothing else."""

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfbt.errors import ArtifactError
from wfbt.gate import attest
from wfbt.gate.attest import Bound, Statement
from wfbt.gate.document import MOST_BYTES, check_rendering, contents, envelope, render
from wfbt.gate.hashes import data_hash
from wfbt.gate.shape import schema

from .deployment import NOON, VERDICT, flipped
from .test_attest import PRIVATE_PEM, PUBLIC_PEM

FILES = {"b/bars.parquet": "2" * 64, "a/bars.parquet": "1" * 64}
BOUND = Bound(
    model=None,
    strategy="3" * 64,
    criteria=VERDICT.criteria_sha256,
    data=data_hash(FILES.values()),
    source="5" * 64,
    lock=None,
    trials=(),
    reasons={"model": "a rule has none", "lock": "no lock file, σ", "trials": "none was recorded"},
)
STATEMENT = Statement(
    status="PASS",
    bound=BOUND,
    version="0.1.0",
    seed=7,
    issued=NOON,
    expires=NOON.replace(month=4),
    findings=contents(VERDICT, bound=BOUND, strategy_file="strategy.yaml", files=FILES),
)
UNSIGNED = render(STATEMENT)
STATUSES = tuple(attest.STATUSES)


def opened(raw, accept=("PASS",), **more):
    sealed = envelope(raw, "verdict.json")
    more.setdefault("allow_unsigned", "key" not in more)
    held = attest.verify(sealed, "verdict.json", now=NOON, given={}, accept=accept, **more)
    check_rendering(raw, sealed, held.statement, "verdict.json")
    return held.statement


def laid_out(tree):
    return (json.dumps(tree, indent=2, ensure_ascii=False) + "\n").encode()


def without_a_payload(statement, tree=None):
    """A file around the attestation of a statement that `render` may refuse."""
    return laid_out({**(tree or {}), "attestation": json.loads(attest.seal(statement))})


def changed(path, value):
    """The findings with one value exchanged."""
    tree = json.loads(json.dumps(dict(STATEMENT.findings)))
    node = tree
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    return replace(STATEMENT, findings=tree)


def places(node, path=()):
    if path:
        yield path
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, below in inside:
        yield from places(below, (*path, key))


def test_what_was_rendered_is_what_is_read():
    assert opened(UNSIGNED) == STATEMENT


def test_the_file_is_readable_json_in_the_order_of_the_published_schema():
    text = UNSIGNED.decode()
    tree = json.loads(text)
    assert text == json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
    assert list(tree) == list(schema("verdict")["properties"])
    assert list(tree["findings"][0]) == list(schema("verdict")["properties"]["findings"]["items"]["properties"])
    assert "no lock file, σ" in text


def test_the_file_says_all_that_was_bound_judged_and_asked():
    tree = json.loads(UNSIGNED)
    assert tree["bound"] == {
        "model": None, "strategy": "3" * 64, "criteria": BOUND.criteria, "data": BOUND.data, "source": "5" * 64,
        "lock": None, "trials": [],
    }  # fmt: skip
    assert tree["reasons"] == dict(BOUND.reasons)
    assert [one["path"] for one in tree["files"]] == ["a/bars.parquet", "b/bars.parquet"]
    assert (tree["status"], tree["exit_code"], tree["seed"]) == ("PASS", 0, 7)
    assert tree["criteria"] == {
        "name": "default", "sha256": BOUND.criteria, "file_sha256": None, "built_in": True, "spend": 0.01,
    }  # fmt: skip
    (drawdown,) = [one for one in tree["findings"] if one["name"] == "drawdown of the run"]
    assert (drawdown["asked"], drawdown["threshold"]) == ("mandate.max_drawdown", 0.25)
    assert [one["name"] for one in tree["findings"]] == [one.criterion.name for one in VERDICT.findings]


def test_criteria_of_a_file_are_bound_by_its_bytes():
    bound = replace(BOUND, criteria="4" * 64)
    told = contents(VERDICT, bound=bound, strategy_file="strategy.yaml", files=FILES)["criteria"]
    assert (told["built_in"], told["file_sha256"], told["sha256"]) == (False, "4" * 64, VERDICT.criteria_sha256)


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_is_rendered_with_its_exit_code(status):
    tree = json.loads(render(replace(STATEMENT, status=status)))
    assert (tree["status"], tree["exit_code"]) == (status, attest.STATUSES[status])


def test_rendering_twice_gives_the_same_bytes_whatever_the_order_of_keys():
    backwards = {name: STATEMENT.findings[name] for name in reversed(STATEMENT.findings)}
    assert render(replace(STATEMENT, findings=backwards)) == UNSIGNED
    pytest.importorskip("cryptography", reason="signatures need the extra wfbt[gate]")
    assert render(STATEMENT, PRIVATE_PEM) == render(STATEMENT, PRIVATE_PEM) != UNSIGNED


def test_renderings_hold_the_published_schema_as_others_read_it():
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    published = schema("verdict")
    jsonschema.Draft202012Validator.check_schema(published)
    judge = jsonschema.Draft202012Validator(published)
    for status in STATUSES:
        judge.validate(json.loads(render(replace(STATEMENT, status=status))))
    assert not judge.is_valid({**json.loads(UNSIGNED), "extra": 1})


def test_a_flipped_bit_is_seen_wherever_in_the_file():
    # One bit of every fifth byte; the slow test takes them all.
    for place in range(0, len(UNSIGNED), 5):
        with pytest.raises(ArtifactError, match=r"^verdict\.json"):
            opened(flipped(UNSIGNED, place, place // 5 % 8))


@pytest.mark.slow
def test_a_flipped_bit_in_any_byte_is_seen_and_one_of_a_signed_file_too():
    pytest.importorskip("cryptography", reason="signatures need the extra wfbt[gate]")
    signed = render(STATEMENT, PRIVATE_PEM)
    for data, step, more in ((UNSIGNED, 1, {}), (signed, 7, {"key": PUBLIC_PEM})):
        for place in range(0, len(data), step):
            with pytest.raises(ArtifactError):
                opened(flipped(data, place, place % 8), **more)


@pytest.mark.parametrize(
    "edit",
    [
        lambda raw: raw + b"\n",
        lambda raw: raw[:-1],
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.replace(b"  ", b"\t"),
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: json.dumps(json.loads(raw)).encode(),
        lambda raw: laid_out({**json.loads(raw), "extra": 1}),
        lambda raw: laid_out(dict(sorted(json.loads(raw).items()))),
        lambda raw: laid_out({**json.loads(raw), "status": "FAIL"}),
        lambda raw: raw.replace(b'"status": "PASS",', b'"status": "FAIL",\n  "status": "PASS",'),
        lambda raw: raw.replace("σ".encode(), b"\\u03c3"),
    ],
)
def test_another_spelling_of_the_same_verdict_is_refused(edit):
    with pytest.raises(ArtifactError, match=r"^verdict\.json"):
        opened(edit(UNSIGNED))


def test_a_changed_figure_is_found_by_its_line():
    lines = UNSIGNED.split(b"\n")
    (at,) = [at for at, line in enumerate(lines) if line.startswith(b'  "seed"')]
    lines[at] = b'  "seed": 8,'
    with pytest.raises(ArtifactError, match=f"verdict.json: line {at + 1} was changed after it was sealed"):
        opened(b"\n".join(lines))


def test_the_attestation_of_another_verdict_does_not_fit():
    other = json.loads(render(replace(STATEMENT, seed=8)))["attestation"]
    with pytest.raises(ArtifactError, match="was changed after it was sealed"):
        opened(laid_out({**json.loads(UNSIGNED), "attestation": other}))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"NaN",
        b'{"attestation": NaN}',
        b'{"attestation": null}',
        b'{"attestation": {}, "attestation": {}}',
        b'{"attestation": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"attestation": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"[" * 1_000_000,
        b'{"a":' * 500_000,
        b'{"attestation": ' + b"9" * 100_000 + b"}",
        b'{"attestation": "\\ud800"}',
        b" " * (MOST_BYTES + 1),
        b"\xff\xfe",
    ],
)
def test_json_that_is_no_verdict_or_bites_is_refused(raw):
    with pytest.raises(ArtifactError, match=r"^verdict\.json"):
        opened(raw)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("schema_version",), "2", r"schema_version must be 1, was '2'"),
        (("criteria", "built_in"), False, "criteria.file_sha256 must be null"),
        (("criteria", "sha256"), "f" * 64, "bound.criteria must be that of criteria"),
        (("criteria", "spend"), 1.5, "criteria.spend must be <= 1, was 1.5"),
        (("files", 0, "sha256"), "f" * 64, "bound.data must be that of files"),
        (("files",), [], "files: length must be >= 1"),
        (("findings", 2, "passed"), False, "'Sharpe ratio that is still possible' of findings was not met"),
        (("findings", 2, "passed"), None, "status is PASS, and"),
        (("findings",), [], "findings: length must be >= 1"),
        (("findings", 0, "kind"), "harmless", r"findings\[0\].kind must be integrity or limit"),
        (("findings", 0, "whi"), "x", r"findings\[0\]: unknown key 'whi'; did you mean why"),
        (("findings", 0, "value"), [1], r"findings\[0\].value must be a number or true or false or null"),
        (("notes",), ["\ud800"], "half a character"),
        (("status",), "PASS", "findings must not say status"),
        (("extra",), {"a": 1}, "unknown key 'extra'"),
    ],
)
def test_findings_of_another_shape_are_neither_written_nor_read(path, value, words):
    statement = changed(path, value)
    with pytest.raises(ArtifactError, match=words):
        render(statement)
    with pytest.raises(ArtifactError, match=words):
        opened(without_a_payload(statement))


@pytest.mark.parametrize("name", sorted(STATEMENT.findings))
def test_each_part_of_the_findings_is_required(name):
    missing = {key: value for key, value in STATEMENT.findings.items() if key != name}
    with pytest.raises(ArtifactError, match=name if name != "files" else "missing"):
        render(replace(STATEMENT, findings=missing))


def test_a_verdict_too_long_to_be_read_is_not_written():
    files = {f"{number:04000}.parquet": f"{number:064x}" for number in range(4500)}
    bound = replace(BOUND, data=data_hash(files.values()))
    told = contents(VERDICT, bound=bound, strategy_file="strategy.yaml", files=files)
    with pytest.raises(ArtifactError, match="must be at most 16,000,000 bytes long"):
        render(replace(STATEMENT, bound=bound, findings=told))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(sorted(places(dict(STATEMENT.findings)), key=str)), value=json_values)
def test_whatever_a_payload_says_it_is_read_as_written_or_refused_in_one_message(path, value):
    statement = changed(path, value)
    try:
        raw = render(statement)
    except ArtifactError:
        with pytest.raises(ArtifactError):
            opened(without_a_payload(statement))
        return
    assert opened(raw) == statement


@settings(max_examples=300, deadline=None)
@given(
    start=st.integers(0, len(UNSIGNED)),
    length=st.integers(0, 40),
    put=st.binary(max_size=40) | st.sampled_from([b" ", b"\n", b"{", b"]", b"null", b'"', b"\\"]),
)
def test_whatever_is_cut_out_or_put_in_it_is_refused_in_one_message(start, length, put):
    raw = UNSIGNED[:start] + put + UNSIGNED[start + length :]
    if raw == UNSIGNED:
        return
    with pytest.raises(ArtifactError, match=r"^verdict\.json"):
        opened(raw)


def test_the_payload_alone_tells_the_whole_verdict():
    payload = json.loads(base64.b64decode(json.loads(UNSIGNED)["attestation"]["payload"]))["predicate"]
    told = json.loads(UNSIGNED)
    assert payload.pop("findings") | payload == {
        name: told[name] for name in told if name not in ("attestation", "exit_code")
    }


def test_a_run_on_years_of_daily_files_has_a_verdict():
    files = {f"trades/{at:05d}.parquet": f"{at:064x}" for at in range(8000)}
    bound = replace(BOUND, data=data_hash(files.values()))
    findings = contents(VERDICT, bound=bound, strategy_file="trend.yaml", files=files)
    many = replace(STATEMENT, bound=bound, findings=findings)
    assert opened(render(many)) == many
