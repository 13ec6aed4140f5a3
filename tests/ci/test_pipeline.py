"""examples/ci, by running it: training, gate, signature, and the deployer's side."""

import json
import shutil

import pytest
import yaml

from tests.ci import gitlab
from tests.ci.actions import OURS, Runner
from tests.ci.shell import ROOT, Machine

EXAMPLE = ROOT / "examples" / "ci"
VERIFY = (
    'wfbt verify reports/verdict.json "$MODEL" --key signer.pub --strategy strategy.yaml --criteria criteria.yaml '
    "--data market.parquet --trials reports/trials.sqlite"
)


@pytest.fixture
def machine(trained, tmp_path):
    """The folder of the pipeline as it was left, for a test to spoil."""
    made = Machine(tmp_path / "job")
    shutil.copytree(trained[0].workspace, made.workspace, dirs_exist_ok=True)
    return made


@pytest.fixture
def files(trained, key, tmp_path):
    """A repository with strategy, criteria, market, the public key, and what was trained."""
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in ("strategy.yaml", "criteria.yaml", "market.parquet"):
        shutil.copy(trained[0].workspace / name, folder)
    shutil.copy(key.with_suffix(".pub"), folder / "signer.pub")
    # So that training finds it all done, which is tested elsewhere.
    shutil.copytree(trained[0].workspace / "models", folder / "models")
    return folder


def model_of(machine):
    done = machine.bash("wfbt train strategy.yaml --quiet | tail -n 1", {}, ())
    return done.stdout.strip()


@pytest.mark.slow
def test_the_pipeline_trains_passes_signs_and_verifies(trained):
    machine, done = trained
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((machine.workspace / "reports" / "verdict.json").read_text())
    assert (told["status"], len(told["attestation"]["signatures"])) == ("PASS", 1)
    assert "PASS: run" in done.stdout
    assert "compared, and the same:" in done.stdout
    assert (machine.workspace / "signer.pem").stat().st_mode & 0o777 == 0o600
    secret = (machine.workspace / "signer.pem").read_text().splitlines()[1]
    assert secret not in done.stdout + done.stderr


@pytest.mark.slow
def test_what_was_changed_after_the_verdict_is_not_deployed(machine):
    model = model_of(machine)
    assert machine.bash(VERIFY, {"MODEL": model}, ()).returncode == 0
    weights = next((machine.workspace / model).glob("seed-*.safetensors"))
    for path in (weights, machine.workspace / "strategy.yaml", machine.workspace / "market.parquet"):
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        done = machine.bash(VERIFY, {"MODEL": model}, ())
        assert done.returncode == 3, path
        assert path.name in done.stderr
        path.write_bytes(before)
    verdict = machine.workspace / "reports" / "verdict.json"
    verdict.write_text(verdict.read_text().replace('"attempt": 1', '"attempt": 0'))
    assert machine.bash(VERIFY, {"MODEL": model}, ()).returncode == 3


@pytest.mark.slow
def test_the_pipeline_ends_at_a_gate_that_fails_and_verifies_nothing(machine, tmp_path):
    example = tmp_path / "example"
    shutil.copytree(EXAMPLE, example)
    criteria = (example / "criteria.yaml").read_text()
    (example / "criteria.yaml").write_text(criteria.replace("threshold: mandate.max_drawdown", "threshold: 0"))
    done = machine.bash(f'"{example}/pipeline.sh" .', {}, ())
    assert done.returncode == 1
    assert "drawdown of every fold" in done.stdout
    assert "compared" not in done.stdout


@pytest.mark.slow
def test_the_workflow_for_github_deploys_what_passed(files, key, tmp_path):
    runner = Runner(tmp_path / "runner", files, {"WFBT_SIGN_KEY": key.read_text()})
    jobs = runner.workflow(EXAMPLE / "github.yml")
    assert [(name, job.status) for name, job in jobs.items()] == [("train", 0), ("gate", 0), ("deploy", 0)], jobs
    assert jobs["train"].outputs["model"].startswith("models/ci-pipeline/")
    assert jobs["gate"].summary.startswith("## Verdict: PASS")
    assert "signed by the key" in jobs["deploy"].log


@pytest.mark.slow
def test_the_workflow_for_github_deploys_nothing_where_the_gate_says_no(files, key, tmp_path):
    (files / "criteria.yaml").write_text(
        (files / "criteria.yaml").read_text().replace("threshold: 50", "threshold: 5e9")
    )
    runner = Runner(tmp_path / "runner", files, {"WFBT_SIGN_KEY": key.read_text()})
    jobs = runner.workflow(EXAMPLE / "github.yml")
    assert [(name, job.status) for name, job in jobs.items()] == [("train", 0), ("gate", 4)]


@pytest.mark.slow
def test_the_pipeline_for_gitlab_deploys_what_passed(files, key, tmp_path):
    told = yaml.safe_load((EXAMPLE / "gitlab.yml").read_text())
    variables = gitlab.template()["variables"] | told["variables"]
    machine = Machine(tmp_path / "job")
    shutil.copytree(files, machine.workspace, dirs_exist_ok=True)
    done = gitlab.run(machine, told["train"], variables)
    assert done.returncode == 0, done.stderr
    dotenv = dict(line.split("=", 1) for line in (machine.workspace / "model.env").read_text().splitlines())
    done = gitlab.run(machine, told["gate"], variables, **dotenv, WFBT_SIGN_KEY=str(key))
    assert done.returncode == 0, done.stdout + done.stderr
    done = gitlab.run(machine, told["deploy"], variables, **dotenv)
    assert done.returncode == 0, done.stderr
    assert "signed by the key" in done.stdout


def test_the_workflow_uses_this_action_with_inputs_that_it_has():
    told = yaml.safe_load((EXAMPLE / "github.yml").read_text())
    ours = [step for step in told["jobs"]["gate"]["steps"] if step.get("uses") == OURS]
    known = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    assert [set(step["with"]) <= set(known) for step in ours] == [True]
