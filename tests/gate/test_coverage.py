"""A deployer's own criteria must all have been asked, at least as strictly."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wfbt
from wfbt.errors import ArtifactError, ConfigError
from wfbt.gate.coverage import check_criteria
from wfbt.gate.criteria import Criteria, Criterion, Kind, profile
from wfbt.gate.document import contents
from wfbt.gate.judge import _HOLDS

from .deployment import NOON, VERDICT, deployment, flipped
from .test_document import BOUND, FILES

FINDINGS = contents(VERDICT, bound=BOUND, strategy_file="strategy.yaml", files=FILES)
TOLD = FINDINGS["criteria"]
BY_FILE = TOLD | {"name": "house", "built_in": False, "file_sha256": "4" * 64, "sha256": "6" * 64}

ONE = """
version: 1
name: mine
spend: {spend}
criteria:
  - {{name: mine, metric: {metric}, operator: "{operator}", threshold: {threshold}, kind: {kind}, why: because{more}}}
"""

# The default gate asked: oos.trades >= 100 (count); gate.params_kept >= 0.7 with an interval (rule);
# oos.max_drawdown <= mandate.max_drawdown, which was 0.25 (limit); overfitting….without_best > 0 (rule).


def own(tmp_path, metric, operator, threshold, kind="count", spend=0.01, more=""):
    path = tmp_path / "mine.yaml"
    told = {"metric": metric, "operator": operator, "threshold": threshold, "kind": kind, "spend": spend, "more": more}
    path.write_text(ONE.format(**told))
    return path


def covered(path, told=TOLD, findings=FINDINGS["findings"]):
    return check_criteria(path, told, findings, "verdict.json")


INTERVAL = ", interval: gate.params_kept_high"
BEST = "overfitting.fold_concentration.without_best"
BEST_INTERVAL = ", interval: gate.without_best_high"


@pytest.mark.parametrize(
    ("metric", "operator", "threshold", "kind", "more"),
    [
        ("oos.trades", ">=", 100, "count", ""),
        ("oos.trades", ">=", 50, "evidence", ""),
        ("oos.trades", ">", 99.5, "count", ""),
        ("gate.params_kept", ">=", 0.7, "rule", INTERVAL),
        ("gate.params_kept", ">", 0.6, "evidence", INTERVAL),
        ("oos.max_drawdown", "<=", "mandate.max_drawdown", "limit", ""),
        ("oos.max_drawdown", "<=", 0.25, "rule", ""),
        ("oos.max_drawdown", "<", 0.3, "limit", ", interval: gate.any"),
        (BEST, ">", 0, "rule", BEST_INTERVAL),
        (BEST, ">=", 0, "rule", BEST_INTERVAL),
        ("stress.within_mandate", "is", "true", "limit", ""),
        ("leakage.passed", "is", "true", "integrity", ""),
    ],
)
def test_what_was_asked_at_least_as_strictly_is_covered(tmp_path, metric, operator, threshold, kind, more):
    assert covered(own(tmp_path, metric, operator, threshold, kind, more=more)) is False


@pytest.mark.parametrize(
    ("metric", "operator", "threshold", "kind", "more", "words"),
    [
        ("oos.sortino", ">=", 1, "count", "", "oos.sortino was not asked"),
        ("oos.trades", ">=", 101, "count", "", "oos.trades must be >= 101, was asked to be >= 100"),
        ("oos.trades", ">", 100, "count", "", "must be > 100, was asked to be >= 100"),
        ("oos.trades", "<=", 1000, "count", "", "must be <= 1000, was asked to be >= 100"),
        ("oos.trades", ">=", "mandate.trades", "count", "", "must be >= mandate.trades, was asked to be >= 100"),
        ("oos.trades", ">=", 100, "rule", "", "must be of kind rule or harder, was count"),
        ("gate.params_kept", ">=", 0.7, "limit", INTERVAL, "must be of kind limit or harder, was rule"),
        ("gate.params_kept", ">=", 0.7, "rule", "", "must be judged with no interval, was with gate.params_kept"),
        ("gate.params_kept", ">=", 0.7, "rule", ", interval: gate.x", "must be judged with the interval gate.x"),
        ("oos.max_drawdown", "<=", 0.2, "limit", "", "must be <= 0.2, was asked to be <= 0.25"),
        ("oos.max_drawdown", "<", 0.25, "limit", "", "must be < 0.25, was asked to be <= 0.25"),
        ("oos.max_drawdown", "<", "mandate.max_drawdown", "limit", "", "asked to be <= mandate.max_drawdown"),
        ("oos.max_drawdown", "<=", "mandate.max_stress_loss", "limit", "", "asked to be <= mandate.max_drawdown"),
        ("oos.max_drawdown", "<=", 0.3, "integrity", "", "must be of kind integrity or harder, was limit"),
        ("oos.max_drawdown", ">=", 0.1, "limit", "", "must be >= 0.1"),
        ("stress.within_mandate", "is", "false", "limit", "", "must be is false, was asked to be is true"),
    ],
)
def test_each_way_of_asking_less_is_named(tmp_path, metric, operator, threshold, kind, more, words):
    path = own(tmp_path, metric, operator, threshold, kind, more=more)
    with pytest.raises(ArtifactError) as caught:
        covered(path)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f'verdict.json: was judged by criteria "default", which ask less than {path}')
    assert second.startswith("  mine: ")
    assert words in second


def test_a_larger_chance_of_luck_is_weaker_and_every_weaker_line_is_named(tmp_path):
    path = own(tmp_path, "oos.trades", ">=", 200, spend=0.001)
    with pytest.raises(ArtifactError) as caught:
        covered(path)
    assert str(caught.value).splitlines()[1:] == [
        "  spend: must be <= 0.001, was 0.01",
        "  mine: oos.trades must be >= 200, was asked to be >= 100",
    ]
    assert covered(own(tmp_path, "oos.trades", ">=", 100, spend=0.02)) is False


def test_one_of_several_findings_on_a_metric_is_enough(tmp_path):
    (one,) = [one for one in FINDINGS["findings"] if one["metric"] == "oos.trades"]
    twice = [one, one | {"threshold": 300.0, "asked": 300.0}]
    for findings in (twice, twice[::-1]):
        assert covered(own(tmp_path, "oos.trades", ">=", 250), findings=findings) is False


def test_a_threshold_that_was_not_known_covers_nothing(tmp_path):
    findings = [one | {"threshold": None} for one in FINDINGS["findings"]]
    with pytest.raises(ArtifactError, match="was asked to be >= none"):
        covered(own(tmp_path, "oos.trades", ">=", 1), findings=findings)


def test_built_in_criteria_are_given_by_name_or_as_a_copy(tmp_path):
    assert covered("default") is True
    (tmp_path / "copy.yaml").write_text("version: 1\nname: default\nextends: default\n")
    assert covered(tmp_path / "copy.yaml") is True


def test_built_in_criteria_that_ask_more_are_not_covered():
    with pytest.raises(ArtifactError, match='was judged by criteria "default", which ask less than strict'):
        covered("strict")


def test_built_in_criteria_that_have_changed_since_are_refused():
    with pytest.raises(ArtifactError, match=r"those of wfbt .* are not those of the verdict; judge it anew"):
        covered("default", told=TOLD | {"sha256": "f" * 64})


def test_a_criteria_file_that_was_changed_after_judging_is_refused(tmp_path):
    text = own(tmp_path, "oos.trades", ">=", 100).read_text()
    (tmp_path / "judged").mkdir()
    judged = deployment(tmp_path / "judged", criteria=text)
    assert judged.statement.findings["criteria"]["built_in"] is False
    verdict, path = judged.write(), judged.at("criteria.yaml")

    def compared():
        return wfbt.verify(verdict, criteria=path, allow_unsigned=True, now=NOON).compared

    assert compared() == ("criteria",)
    raw = path.read_bytes()
    for edit in (raw.replace(b"100", b"10"), raw + b"# a comment\n", raw.replace(b"because", b"becaus3")):
        path.write_bytes(edit)
        with pytest.raises(ArtifactError, match=r'criteria "mine": .*criteria.yaml was changed after judging'):
            compared()
    path.write_bytes(raw.replace(b"name: mine\nspend", b"name: ours\nspend"))
    assert compared() == ("own criteria",)
    for place in range(len(raw)):
        path.write_bytes(flipped(raw, place, place % 7))
        try:
            held = compared()
        except (ArtifactError, ConfigError):
            continue
        assert held == ("own criteria",)


def test_what_is_no_criteria_is_a_matter_of_usage(tmp_path):
    (tmp_path / "bad.yaml").write_text("version: 1\n")
    for path, words in ((tmp_path / "bad.yaml", "name is required"), ("defautl", "none of default, research, strict")):
        with pytest.raises(ConfigError, match=words):
            covered(path)


numbers = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])
operators = st.sampled_from(sorted(_HOLDS))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=operators, own_at=numbers, asked=operators, told_at=numbers, value=st.floats(-3, 3) | numbers)
def test_a_covered_line_is_met_by_every_value_that_met_the_verdict(monkeypatch, wanted, own_at, asked, told_at, value):
    mine = Criterion(name="m", metric="oos.x", operator=wanted, threshold=own_at, kind=Kind.COUNT, why="w")
    monkeypatch.setattr("wfbt.gate.coverage.profile", lambda name: Criteria(name="mine", spend=0.01, criteria=(mine,)))
    finding = {"metric": "oos.x", "operator": asked, "threshold": told_at, "asked": told_at, "interval": None,
               "kind": "count"}  # fmt: skip
    try:
        covered("strict", findings=[finding])
    except ArtifactError:
        return
    assert not _HOLDS[asked](value, told_at) or _HOLDS[wanted](value, own_at)


def test_the_built_in_criteria_cover_themselves_under_another_name():
    for name in ("default", "strict", "research"):
        asked = profile(name)
        findings = [
            {"metric": one.metric, "operator": one.operator, "threshold": 0.5, "asked": one.threshold,
             "interval": one.interval, "kind": str(one.kind)}
            | ({"threshold": one.threshold} if not isinstance(one.threshold, str) else {})
            for one in asked.criteria
        ]  # fmt: skip
        told = BY_FILE | {"spend": asked.spend}
        assert check_criteria(name, told, findings, "verdict.json") is False
