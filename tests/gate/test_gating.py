"""Run folders and models, judged from end to end."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

import wfbt
from tests.models import artefact
from tests.runs import hours, write_strategy, write_study
from wfbt.candidates import gate_model
from wfbt.errors import ArtifactError, ConfigError
from wfbt.gate.hashes import file_hash
from wfbt.gate.verdict import Status
from wfbt.gating import NOT_WALKED, gate_run, is_run, terms_of
from wfbt.registry.provenance import tree_sha256
from wfbt.registry.trials import Trials

NOW = datetime(2025, 1, 1, tzinfo=UTC)
COUNTS = """version: 1
name: counts
spend: 0.01
criteria:
  - {name: number of folds, metric: gate.folds, operator: ">=", threshold: 3, kind: count, why: few folds say little}
  - {name: decides in time, metric: timing.decision.p99_s, operator: "<=", threshold: 60, kind: rule, why: orders wait}
  - {name: drawdown, metric: oos.max_drawdown, operator: "<=", threshold: 0.9, kind: limit, why: it can happen again}
  - {name: each fold ran, metric: "min(folds[*].out_of_sample.days)", operator: ">=", threshold: 1, kind: rule, why: no}
"""
# Without a declared edge a verdict can pass on counts alone.
MANDATE = {"max_drawdown": 0.9, "max_stress_loss": 0.9, "min_sharpe": 0.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run folder beside its ledger, made once."""
    folder = tmp_path_factory.mktemp("gated")
    path = write_study(folder, mandate=MANDATE)
    wfbt.run(path, out=folder / "reports", jobs=1, report=True)
    (folder / "counts.yaml").write_text(COUNTS)
    return folder


@pytest.fixture
def place(made, tmp_path):
    """The same, to be spoiled: reports beside a criteria file."""
    shutil.copytree(made, tmp_path / "place")
    return tmp_path / "place"


def run_in(place):
    (folder,) = (path for path in (place / "reports").iterdir() if path.is_dir())
    return folder


def terms(place, **given):
    return terms_of(**({"criteria": place / "counts.yaml", "first_look": True} | given))


def found(gated, name):
    (one,) = [one for one in gated.verdict.findings if one.criterion.name == name]
    return one


def test_what_meets_every_criterion_passes_and_its_verdict_verifies(place):
    gated = gate_run(run_in(place), terms(place), out=place / "copies", now=NOW)
    assert gated.verdict.status is Status.PASS, [one.why for one in gated.verdict.findings if not one.passed]
    assert gated.document["status"] == "PASS"
    for name in ("verdict.json", "junit.xml", "summary.md"):
        assert (place / "copies" / name).read_bytes() == (run_in(place) / name).read_bytes()
    held = wfbt.verify(run_in(place) / "verdict.json", place / "small.yaml", allow_unsigned=True, now=NOW, data=place)
    assert set(held.compared) == {"strategy", "data"}


def test_a_ledger_of_this_run_alone_cannot_say_that_nobody_looked_before(place):
    gated = gate_run(run_in(place), terms(place, first_look=False))
    assert gated.verdict.status is Status.INCONCLUSIVE
    assert found(gated, "trial ledger knows what was tried").passed is None
    declared = gate_run(run_in(place), terms(place))
    assert declared.verdict.status is Status.PASS
    assert any("--first-look" in note for note in declared.document["notes"])


def test_without_a_ledger_nothing_passes_unless_a_first_look_is_declared(place):
    (place / "reports" / "trials.sqlite").unlink()
    gated = gate_run(run_in(place), terms(place, first_look=False))
    assert gated.verdict.status is Status.INCONCLUSIVE
    assert gated.document["reasons"]["trials"]
    assert gate_run(run_in(place), terms(place)).verdict.status is Status.PASS


@pytest.mark.parametrize("trials", [None, "nowhere.sqlite"])
def test_a_first_look_cannot_be_declared_over_an_earlier_verdict_whose_ledger_is_gone(place, trials):
    assert gate_run(run_in(place), terms(place)).verdict.status is Status.PASS
    (place / "reports" / "trials.sqlite").unlink()
    gated = gate_run(run_in(place), terms(place, trials=None if trials is None else place / trials))
    assert gated.verdict.status is Status.INCONCLUSIVE
    assert "verdict.json keeps the head" in found(gated, "trial ledger knows what was tried").why


@pytest.mark.parametrize("here", [True, False])
def test_a_first_look_cannot_be_declared_for_a_run_that_was_counted_as_a_later_one(place, here):
    other = write_strategy(place, "other.yaml", mandate=MANDATE, seed=6)
    folder = wfbt.run(other, out=place / "reports", jobs=1, report=False).folder
    moved = folder if here else Path(shutil.move(folder, place / folder.name))
    (place / "reports" / "trials.sqlite").unlink()
    gated = gate_run(moved, terms(place))
    assert gated.verdict.status is Status.INCONCLUSIVE
    assert "was look 2" in found(gated, "trial ledger knows what was tried").why


def test_judging_the_same_run_again_is_the_same_attempt_and_says_the_same(place):
    first = gate_run(run_in(place), terms(place), now=NOW)
    again = gate_run(run_in(place), terms(place), now=NOW)
    assert (first.verdict.attempt, again.verdict.attempt) == (1, 1)
    assert first.document == again.document


def test_other_thresholds_are_another_attempt_and_are_named_by_a_hair(place):
    gate_run(run_in(place), terms(place))
    (place / "counts.yaml").write_text(COUNTS.replace("threshold: 0.9", "threshold: 0.91"))
    gated = gate_run(run_in(place), terms(place))
    assert gated.verdict.attempt == 2
    assert any("hair" in note for note in gated.verdict.notes)


@pytest.mark.parametrize(
    "name", ["result.json", "daily.parquet", "equity.parquet", "fills.parquet", "config.resolved.yaml"]
)
def test_a_folder_with_one_changed_byte_is_refused(place, name):
    path = run_in(place) / name
    data = bytearray(path.read_bytes())
    at = data.index(b'"name": "small"') + 9 if name == "result.json" else len(data) // 2
    data[at] ^= 1
    path.write_bytes(bytes(data))
    try:
        gated = gate_run(run_in(place), terms(place))
    except (ArtifactError, ConfigError):
        return  # what cannot even be read
    assert gated.verdict.status is Status.REFUSED
    assert name in found(gated, "run folder as it was written").why


@pytest.mark.parametrize("name", ["manifest.json", "result.json", "daily.parquet", "config.resolved.yaml"])
def test_a_folder_without_what_a_verdict_needs_is_no_finished_run(place, name):
    (run_in(place) / name).unlink()
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        gate_run(run_in(place), terms(place))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "{", "[]", "1", '"x"', "null"])
def test_a_result_that_is_no_object_of_numbers_is_refused(place, text):
    path = run_in(place) / "result.json"
    told = path.read_text()
    path.write_text(told.replace('"total_return": ', f'"total_return": {text}, "x": ', 1) if text[-1] == "y" else text)
    with pytest.raises(ArtifactError):
        gate_run(run_in(place), terms(place))


def test_criteria_that_name_an_unknown_metric_are_refused_before_anything_is_recorded(place):
    (place / "counts.yaml").write_text(COUNTS.replace("oos.max_drawdown", "oos.max_drawdwon"))
    before = len(Trials.open(place / "reports" / "trials.sqlite"))
    with pytest.raises(ConfigError, match="did you mean max_drawdown"):
        gate_run(run_in(place), terms(place))
    assert len(Trials.open(place / "reports" / "trials.sqlite")) == before


def edited(place, name, **keys):
    """Other values of some keys, in a file that keeps its own hash or has none."""
    path = run_in(place) / name
    tree = json.loads(path.read_text()) | keys
    path.write_text(json.dumps(tree | ({"sha256": tree_sha256(tree)} if "sha256" in tree else {})))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rerun", {"fold": 1, "sha256": "0" * 64, "equal": True}),
        ("seed", 6),
        ("strategy_sha256", None),
        ("notes", ["x"]),
        ("sha256", None),
    ],
)
def test_a_changed_manifest_refuses_its_run(place, key, value):
    path = run_in(place) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    gated = gate_run(run_in(place), terms(place))
    assert gated.verdict.status is Status.REFUSED
    assert found(gated, "run folder as it was written").why == "manifest.json was changed"


def test_a_manifest_without_its_hash_or_with_a_key_twice_is_not_taken_for_one(place):
    path = run_in(place) / "manifest.json"
    whole = path.read_text()
    tree = json.loads(whole)
    del tree["sha256"]
    path.write_text(json.dumps(tree))
    assert gate_run(run_in(place), terms(place)).verdict.status is Status.REFUSED
    path.write_text(whole.replace("{", '{"seed": 6,', 1))
    with pytest.raises(ArtifactError, match="repeats the key 'seed'"):
        gate_run(run_in(place), terms(place))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("files", [], "files: length must be >= 1, was 0"),
        ("files", [{"of": "AAA"}], r"files\[0\]: path is missing"),
        ("config", {}, "config: seed is missing"),
        ("trials", {"head": 1}, r"trials\.head must be text or null, was 1"),
        ("seed", -1, "seed must be >= 0, was -1"),
        ("written", [], "written must be an object"),
    ],
)
def test_a_manifest_of_another_shape_is_refused_whatever_it_says_its_hash_is(place, key, value, words):
    edited(place, "manifest.json", **{key: value})
    with pytest.raises(ArtifactError, match=f"manifest.json: {words}"):
        gate_run(run_in(place), terms(place))


def test_a_run_of_another_wfbt_is_never_a_pass(place):
    edited(place, "manifest.json", source_sha256="0" * 64)
    gated = gate_run(run_in(place), terms(place))
    assert gated.verdict.status is Status.INCONCLUSIVE
    assert found(gated, "run by this wfbt").passed is None


@pytest.mark.parametrize(
    ("again", "status"),
    [({"fold": 2, "sha256": "0" * 64, "equal": False}, Status.REFUSED), (None, Status.INCONCLUSIVE)],
)
def test_a_fold_that_did_not_repeat_itself_is_refused_and_one_not_walked_again_is_not_known(place, again, status):
    edited(place, "manifest.json", rerun=again)
    assert gate_run(run_in(place), terms(place)).verdict.status is status


def put(place, name, data):
    """A file of the run folder, with its hash in the manifest, as whoever forges one would write it."""
    (run_in(place) / name).write_bytes(data)
    kept = json.loads((run_in(place) / "manifest.json").read_text())["written"]
    edited(place, "manifest.json", written=kept | {name: hashlib.sha256(data).hexdigest()})


def test_a_day_that_returned_more_than_any_account_can_is_a_damaged_file(place):
    days = pd.read_parquet(run_in(place) / "daily.parquet")
    days.loc[3, "strategy"] = -1e200
    days.to_parquet(place / "days.parquet")
    put(place, "daily.parquet", (place / "days.parquet").read_bytes())
    with pytest.raises(ArtifactError, match=r"daily.parquet: strategy must be the returns of days, is 1e\+200 on one"):
        gate_run(run_in(place), terms(place))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tree: {"benchmark": [1]},
        lambda tree: {
            "oos": tree["oos"] | {"total_return": "a", "sharpe": [1], "max_drawdown": True, "trades": 10**400}
        },
    ],
)
def test_a_forged_result_of_another_shape_is_judged_and_summed_up_without_a_fault(place, spoil):
    tree = json.loads((run_in(place) / "result.json").read_text())
    put(place, "result.json", json.dumps(tree | spoil(tree)).encode())
    assert gate_run(run_in(place), terms(place)).verdict.status is not Status.PASS


def test_a_ledger_that_lacks_the_head_of_an_earlier_verdict_was_cut(place):
    trials = place / "reports" / "trials.sqlite"
    kept = trials.read_bytes()
    gate_run(run_in(place), terms(place))
    trials.write_bytes(kept)
    gated = gate_run(run_in(place), terms(place, criteria=None, profile_name="research"))
    assert gated.verdict.status is Status.REFUSED
    assert "verdict.json" in found(gated, "trial ledger knows what was tried").why


def test_junit_has_a_suite_of_the_run_and_one_of_each_fold(place):
    gate_run(run_in(place), terms(place))
    root = ElementTree.parse(run_in(place) / "junit.xml").getroot()
    assert [suite.get("name") for suite in root] == ["wfbt gate", "fold 1", "fold 2", "fold 3"]
    for suite in list(root)[1:]:
        names = {case.get("name") for case in suite.iter("testcase")}
        assert names == {"learnt before it was tested", "fitted on training rows", "drawdown", "each fold ran"}
    assert not list(root.iter("skipped"))


def test_the_page_of_the_run_gets_the_verdict_and_keeps_everything_else(place):
    before = (run_in(place) / "index.html").read_text()
    assert "Not judged yet" in before
    gate_run(run_in(place), terms(place))
    after = (run_in(place) / "index.html").read_text()
    assert "<h2>Verdict: PASS</h2>" in after
    assert "Not judged yet" not in after
    start, end = "<!-- verdict -->", "<!-- /verdict -->"
    assert before.split(start)[0] == after.split(start)[0]
    assert before.split(end)[1] == after.split(end)[1]
    gate_run(run_in(place), terms(place))
    assert (run_in(place) / "index.html").read_text().count("<h2>Verdict") == 1


def test_the_summary_is_appended_to_that_of_the_job(place, monkeypatch):
    steps = place / "steps.md"
    steps.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(steps))
    gate_run(run_in(place), terms(place))
    assert steps.read_text() == "before\n" + (run_in(place) / "summary.md").read_text()


def test_a_run_compared_with_itself_is_no_worse(place):
    gated = gate_run(run_in(place), terms(place, baseline=run_in(place)))
    assert found(gated, "Sharpe ratio not below the baseline's").value == 0.0
    assert gated.verdict.status is Status.PASS


def test_a_baseline_of_other_days_cannot_be_compared_day_by_day(place):
    path = write_strategy(place, "other.yaml", mandate=MANDATE, folds={"count": 2, "train": "80d"})
    other = wfbt.run(path, out=place / "other", jobs=1, report=False)
    gated = gate_run(run_in(place), terms(place, baseline=other.folder))
    one = found(gated, "Sharpe ratio not below the baseline's")
    assert one.passed is None
    assert "judged days" in one.why or "buy-and-hold differs" in one.why
    assert gated.verdict.status is not Status.PASS


def test_a_baseline_that_was_edited_is_refused(place):
    shutil.copytree(run_in(place), place / "blessed")
    path = place / "blessed" / "trades.parquet"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ArtifactError, match="a baseline must be as it was written"):
        gate_run(run_in(place), terms(place, baseline=place / "blessed"))


def test_folds_that_learn_from_both_sides_are_never_a_pass(tmp_path):
    path = write_study(tmp_path, mandate=MANDATE, folds={"count": 3, "scheme": "purged"})
    run = wfbt.run(path, out=tmp_path / "reports", jobs=1, report=False)
    (tmp_path / "counts.yaml").write_text(COUNTS)
    gated = gate_run(run.folder, terms(tmp_path))
    assert gated.verdict.status is not Status.PASS
    assert found(gated, "an account that could have been traded").passed is None


def test_the_days_of_a_run_are_those_of_its_account(made):
    days, equity = (pd.read_parquet(run_in(made) / f"{name}.parquet") for name in ("daily", "equity"))
    grown = (1.0 + days["strategy"]).prod()
    assert grown == pytest.approx(equity["equity"].iloc[-1] / 10_000.0, rel=1e-12)
    assert set(days["fold"]) == {1, 2, 3}


def model_study(folder, name="model", **sections):
    artefact(folder / "model", {"policy": {}}, seeds=(0, 1))
    (folder / "counts.yaml").write_text(COUNTS.replace("threshold: 3", "threshold: 2"))
    # On these days the random networks happen to gain.
    return write_study(
        folder, hours(seed=1), policy={"rule": None, "search": {}, "model": name}, folds={"count": 2, "train": "56d"},
        mandate=MANDATE, **sections,
    )  # fmt: skip


def judged(path, model, **given):
    folder = path.parent
    return gate_model(model, path, terms(folder, **given), out=folder / "reports", jobs=1, report=False)


def test_a_model_is_walked_forward_and_its_verdict_binds_it(tmp_path):
    path = model_study(tmp_path)
    gated = judged(path, tmp_path / "model")
    assert gated.verdict.status is Status.PASS, [one.why for one in gated.verdict.findings if not one.passed]
    verdict = gated.folder / "verdict.json"
    held = wfbt.verify(verdict, tmp_path / "model", allow_unsigned=True, strategy=path, data=tmp_path)
    assert set(held.compared) == {"model", "strategy", "data"}
    weights = tmp_path / "model" / "seed-0.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match=r"seed-0\.safetensors"):
        wfbt.verify(verdict, tmp_path / "model", allow_unsigned=True)


def test_a_whole_folder_of_the_same_run_is_taken_up(tmp_path):
    path = model_study(tmp_path)
    first = judged(path, tmp_path / "model")
    stamp = (first.folder / "result.json").stat().st_mtime_ns
    again = judged(path, tmp_path / "model")
    assert again.folder == first.folder
    assert [NOT_WALKED in one.verdict.notes for one in (first, again)] == [False, True]
    assert (first.folder / "result.json").stat().st_mtime_ns == stamp
    (first.folder / "equity.parquet").write_bytes(b"spoiled")
    assert judged(path, tmp_path / "model").verdict.status is Status.PASS
    assert (first.folder / "result.json").stat().st_mtime_ns != stamp


def test_a_given_model_takes_the_place_of_the_one_that_the_strategy_names(tmp_path):
    path = model_study(tmp_path, name="not_there_yet")
    gated = judged(path, tmp_path / "model")
    assert gated.verdict.status is Status.PASS
    assert gated.document["strategy_file"] == path.name


def test_a_model_without_its_manifest_is_refused_in_a_verdict_of_its_own(tmp_path):
    path = model_study(tmp_path)
    (tmp_path / "model" / "manifest.json").unlink()
    gated = judged(path, tmp_path / "model")
    assert gated.verdict.status is Status.REFUSED
    assert gated.folder.name == "small-refused"
    assert gated.document["bound"]["model"] is None
    assert "manifest.json" in gated.verdict.findings[0].why


def test_a_strategy_of_rules_has_no_place_for_a_model(tmp_path):
    artefact(tmp_path / "model", {"policy": {}}, seeds=(0,))
    path = write_study(tmp_path, mandate=MANDATE)
    (tmp_path / "counts.yaml").write_text(COUNTS)
    with pytest.raises(ConfigError, match="has no network"):
        judged(path, tmp_path / "model")


def test_a_run_folder_and_a_model_are_told_apart(place, tmp_path):
    artefact(tmp_path / "model", {"policy": {}}, seeds=(0,))
    assert is_run(run_in(place))
    assert not is_run(tmp_path / "model")
    (run_in(place) / "manifest.json").unlink()
    assert is_run(run_in(place))


def test_a_key_that_cannot_sign_is_refused_before_anything_runs(place):
    (place / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(ConfigError, match="Ed25519"):
        terms(place, sign=place / "key.pem")


def test_a_manifest_that_names_the_look_of_another_strategy_is_refused(place):
    config = json.loads((run_in(place) / "manifest.json").read_text())["config"]
    edited(place, "manifest.json", config=config | {"seed": 6})
    gated = gate_run(run_in(place), terms(place))
    assert gated.verdict.status is Status.REFUSED
    assert "another strategy" in found(gated, "trial ledger knows what was tried").why


def test_a_spend_moved_by_a_hair_is_named(place):
    gate_run(run_in(place), terms(place))
    (place / "counts.yaml").write_text(COUNTS.replace("spend: 0.01", "spend: 0.0105"))
    assert any("spend <= 0.0105, was <= 0.01" in note for note in gate_run(run_in(place), terms(place)).verdict.notes)


def test_a_name_of_control_characters_is_no_name(place):
    (place / "counts.yaml").write_text(COUNTS.replace("name: drawdown", 'name: "a\\tb"'))
    with pytest.raises(ConfigError, match="printable"):
        terms(place)


def test_a_run_that_was_walked_just_now_is_not_doubted_for_who_wrote_its_folder(place):
    doubts = [
        [note for note in gate_run(run_in(place), terms(place), walked=walked).verdict.notes if "whoever wrote" in note]
        for walked in (False, True)
    ]
    assert [len(one) for one in doubts] == [1, 0]


def test_a_folder_that_stays_where_no_report_is_asked_for_was_not_written_by_the_walk(place):
    again = [wfbt.run(place / "small.yaml", out=place / "reports", jobs=1, report=report) for report in (False, True)]
    assert [one.written for one in again] == [False, True]
    assert again[0].folder == again[1].folder == run_in(place)


def test_a_strategy_that_is_edited_during_the_walk_is_bound_as_it_was_walked(tmp_path):
    path = model_study(tmp_path)
    was = file_hash(path)

    def edit(what, done, total):
        if what == "looking for leaks":
            path.write_text(path.read_text() + "# edited\n")

    gated = gate_model(
        tmp_path / "model", path, terms(tmp_path), out=tmp_path / "reports", jobs=1, report=False, progress=edit
    )
    assert file_hash(path) != was
    assert gated.document["bound"]["strategy"] == was


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("manifest.json", "files", None),
        ("manifest.json", "files", [{"path": "bars.parquet"}]),
        ("manifest.json", "config", None),
        ("manifest.json", "config", {"name": "small"}),
        ("manifest.json", "trials", "none"),
        ("result.json", "folds", [1]),
        ("result.json", "models", [1]),
    ],
)
def test_a_folder_of_another_shape_is_refused_in_words_before_it_counts_as_an_attempt(place, name, key, value):
    edited(place, name, **{key: value})
    before = len(Trials.open(place / "reports" / "trials.sqlite"))
    with pytest.raises(ArtifactError, match=rf"{name}: {key}"):
        gate_run(run_in(place), terms(place))
    assert len(Trials.open(place / "reports" / "trials.sqlite")) == before


def test_a_result_that_tells_of_a_model_which_its_config_does_not_name_is_refused(place):
    edited(place, "result.json", models={"policy": {"mode": "fixed", "path": "model"}})
    assert gate_run(run_in(place), terms(place)).verdict.status is Status.REFUSED


def test_a_ledger_that_was_cut_is_told_to_be_restored_as_no_first_look_can_mend_it(place):
    trials = place / "reports" / "trials.sqlite"
    kept = trials.read_bytes()
    gate_run(run_in(place), terms(place))
    trials.write_bytes(kept)
    one = found(gate_run(run_in(place), terms(place)), "trial ledger knows what was tried")
    assert "--merge" in one.to_change and "--first-look" not in one.to_change


def test_a_pass_by_criteria_that_ask_little_says_what_default_would_have_asked(place):
    gated = gate_run(run_in(place), terms(place))
    assert gated.verdict.status is Status.PASS
    (note,) = [note for note in gated.document["notes"] if "ask less than default" in note]
    assert "z of the Sharpe ratio" in note
    assert note in (run_in(place) / "verdict.json").read_text()


@pytest.mark.parametrize(("name", "less"), [("default", False), ("strict", False), ("research", True)])
def test_criteria_that_come_with_wfbt_ask_less_than_default_only_where_they_do(place, name, less):
    gated = gate_run(run_in(place), terms(place, criteria=None, profile_name=name))
    assert any("ask less than default" in note for note in gated.verdict.notes) is less


def test_a_limit_of_default_that_a_file_moves_is_named(place):
    (place / "own.yaml").write_text(
        "version: 1\nname: own\nextends: default\ncriteria:\n  - {name: number of round trips, metric: oos.trades, "
        'operator: ">=", threshold: 1, kind: count, why: little}\n'
    )
    notes = gate_run(run_in(place), terms(place, criteria=place / "own.yaml")).verdict.notes
    assert "the criteria own ask less than default: number of round trips; what was not asked was not shown" in notes


def test_a_mandate_that_nothing_can_break_is_said_to_promise_nothing(place):
    assert any(
        "promises nothing by min_sharpe 0:" in note for note in gate_run(run_in(place), terms(place)).verdict.notes
    )


@pytest.mark.parametrize("name", ["default", "strict", "research"])
def test_criteria_of_ones_own_cannot_take_a_name_that_comes_with_wfbt(place, name):
    (place / "counts.yaml").write_text(COUNTS.replace("name: counts", f"name: {name}"))
    with pytest.raises(ConfigError, match="comes with wfbt and asks something else"):
        terms(place)


def test_a_verdict_on_a_rule_of_ones_own_holds_the_hash_of_its_file(tmp_path):
    rule = tmp_path / "mine.py"
    rule.write_text(
        "def momentum(bars, n=24):\n"
        '    """Long after a rise."""\n'
        '    return (bars["close"].pct_change(n) > 0).astype(float)\n'
    )
    path = write_study(tmp_path, mandate=MANDATE, policy={"rule": "mine.py:momentum", "search": {}})
    run = wfbt.run(path, out=tmp_path / "reports", jobs=1, report=False)
    (tmp_path / "counts.yaml").write_text(COUNTS)
    gated = gate_run(run.folder, terms(tmp_path))
    assert sum(file_hash(rule) in note for note in gated.document["notes"]) == 1


def test_a_verdict_on_a_rule_of_wfbt_names_no_file_of_it(place):
    assert not any("decided by" in note for note in gate_run(run_in(place), terms(place)).verdict.notes)


def test_a_drawdown_that_was_edited_in_result_and_manifest_is_not_that_of_the_equity(place):
    result = json.loads((run_in(place) / "result.json").read_text())
    edited(place, "result.json", oos=result["oos"] | {"max_drawdown": 0.01})
    manifest = json.loads((run_in(place) / "manifest.json").read_text())
    edited(
        place, "manifest.json", written=manifest["written"] | {"result.json": file_hash(run_in(place) / "result.json")}
    )
    gated = gate_run(run_in(place), terms(place))
    assert found(gated, "run folder as it was written").passed is True
    assert gated.verdict.status is Status.REFUSED
    assert "the result says 1.0000%" in found(gated, "accounts add up").why


def test_the_name_of_a_profile_where_a_criteria_file_belongs_is_told_where_it_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="are --profile default"):
        terms_of(criteria=Path("default"))


def test_a_run_folder_in_the_place_of_a_verdict_is_told_where_the_verdict_is(place):
    with pytest.raises(ArtifactError, match=r"give the verdict\.json in it"):
        wfbt.verify(run_in(place), place / "small.yaml", allow_unsigned=True)


@pytest.mark.parametrize("cash", [0.0, -1e4])
def test_an_account_that_opens_with_nothing_does_not_add_up(place, cash):
    result = json.loads((run_in(place) / "result.json").read_text())
    edited(place, "result.json", account=result["account"] | {"cash": cash})
    assert found(gate_run(run_in(place), terms(place)), "accounts add up").passed is False
