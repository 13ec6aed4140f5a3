"""`wfbt verify` on the command line: exit codes, and words for what was and was not compared."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from wfbt import cli
from wfbt.errors import ArtifactError
from wfbt.gate.attest import key_id
from wfbt.gate.shape import schema

from .deployment import deployment
from .test_attest import PRIVATE_PEM, PUBLIC_PEM


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model that was judged yesterday."""
    made = deployment(tmp_path_factory.mktemp("made"))
    now = datetime.now(UTC).replace(microsecond=0)
    made = replace(
        made, statement=replace(made.statement, issued=now - timedelta(days=1), expires=now + timedelta(days=29))
    )
    made.write()
    return made


def call(made, *words):
    """Paths are those of the folder."""
    given = [str(made.at(word)) if made.at(word).exists() else word for word in words]
    return CliRunner().invoke(cli.main, ["verify", *given])


UNSIGNED = ("verdict.json", "model", "--allow-unsigned")


def test_what_holds_ends_with_zero_and_says_what_was_compared_and_what_was_not(made):
    done = call(made, *UNSIGNED, "--strategy", "strategy.yaml", "--data", "data/BTC", "--data", "data/ETH",
                "--criteria", "default", "--trials", "trials.sqlite")  # fmt: skip
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "PASS: run by-hand, by the criteria default"
    assert lines[1] == "not signed: anybody can have written it"
    at = lines.index("not given, so nothing is known of them but the verdict's word:")
    compared, missing = lines[5:at], lines[at:]
    assert [line.split()[0] for line in compared if line] == ["model", "trials", "strategy", "data", "criteria"]
    assert [line.split()[0] for line in missing[1:]] == ["source", "lock"]
    assert missing[2] == "  lock         give it by --lock"


def test_json_is_one_object_and_nothing_else(made):
    told = json.loads(call(made, *UNSIGNED, "--json").stdout)
    assert told["compared"] == ["model"]
    assert told["not_compared"] == ["strategy", "criteria", "data", "source", "lock", "trials"]
    assert (told["status"], told["signed_by"], told["none_bound"]) == ("PASS", None, {})
    assert told["criteria"]["name"] == "default"


def test_criteria_of_ones_own_are_said_to_be_others(made):
    made.at("own.yaml").write_text(
        "{version: 1, name: own, spend: 0.01, criteria: "
        '[{name: a, metric: oos.trades, operator: ">=", threshold: 50, kind: count, why: w}]}'
    )
    told = call(made, *UNSIGNED, "--criteria", "own.yaml").stdout
    assert "  own criteria the verdict was judged by others, which ask all of yours at least as strictly" in told


def test_a_signature_is_checked_and_its_signer_is_named(made, tmp_path):
    pytest.importorskip("cryptography", reason="signatures need the extra wfbt[gate]")
    signed = replace(made, folder=tmp_path)
    signed.write(private_key=PRIVATE_PEM)
    words = (str(tmp_path / "verdict.json"), "model")
    assert f"signed by the key {key_id(PUBLIC_PEM)}" in call(made, *words, "--key", "public.pem").stdout
    assert call(made, *words, "--key", "stranger.pem").exit_code == 3
    assert call(made, *words).exit_code == 3


def test_what_does_not_hold_ends_with_three_and_one_message(made, tmp_path):
    (tmp_path / "strategy.yaml").write_text("name: other\n")
    done = call(made, *UNSIGNED, "--strategy", str(tmp_path / "strategy.yaml"))
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith("ArtifactError: ")
    assert "strategy sha256: the verdict binds" in done.stderr
    assert call(made, "verdict.json", "model").exit_code == 3
    spoilt = tmp_path / "verdict.json"
    spoilt.write_bytes(made.at("verdict.json").read_bytes().replace(b'"seed": 7', b'"seed": 8'))
    assert call(made, str(spoilt), *UNSIGNED[1:], "--json").exit_code == 3


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("verdict.json",), "Missing argument 'MODEL'"),
        ((*UNSIGNED, "--data"), "--data: give the Parquet file or folder that was judged on"),
        ((*UNSIGNED, "--data", "--json"), "--data: give the Parquet file or folder that was judged on"),
        ((*UNSIGNED, "--data", "nowhere"), "data: nowhere: no such file or folder"),
        ((*UNSIGNED, "--key", "nowhere"), "key: nowhere: no such file or folder"),
        ((*UNSIGNED, "--trials", "nowhere"), "there is no trial ledger"),
        (
            (*UNSIGNED, "--criteria", "strickt"),
            "criteria: strickt: no such file, and none of default, research, strict",
        ),
        (("nowhere.json", "model"), "verdict: nowhere.json: no such file or folder"),
        (("verdict.json", "nowhere"), "nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_meant_ends_with_two(made, words, told):
    done = call(made, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_text_of_a_verdict_does_not_steer_the_terminal(made, tmp_path):
    hostile = replace(made, folder=tmp_path)
    findings = {**made.statement.findings, "run_id": "\x1b[2J\u202ex"}
    hostile.write(replace(made.statement, version="\x1b]0;x\x07", findings=findings))
    told = call(made, str(tmp_path / "verdict.json"), *UNSIGNED[1:]).stdout
    assert "run �[2J�x" in told
    assert told.replace("\n", "").isprintable()


@pytest.mark.parametrize("error", [ArtifactError, RuntimeError])
def test_a_message_that_quotes_a_file_does_not_steer_the_terminal(monkeypatch, made, error):
    def refuse(*_, **__):
        raise error("holds \x1b[2J and \x0e")

    monkeypatch.setattr("wfbt.gate.deployed.verify", refuse)
    assert "holds �[2J and �\n" in call(made, *UNSIGNED).stderr


def test_the_schema_is_printed_as_it_is_published():
    done = CliRunner().invoke(cli.main, ["schema", "verdict"])
    assert json.loads(done.stdout) == schema("verdict")
    done = CliRunner().invoke(cli.main, ["schema", "result"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no other is published" in done.stderr
