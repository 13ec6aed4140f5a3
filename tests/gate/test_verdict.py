"""What findings add up to, and how it is told."""

from itertools import product
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfbt.gate.criteria import Criterion, Kind
from wfbt.gate.verdict import Finding, Status, Verdict, decide, sentence

ANSWERS = (True, False, None)


def finding(kind, passed, doubtful=False, name="x", why="seen"):
    criterion = Criterion(name=name, metric="oos.x", operator=">", threshold=0.0, kind=Kind(kind), why="because")
    value = None if passed is None else 1.0
    return Finding(
        criterion=criterion, value=value, threshold=0.0, passed=passed, open=doubtful, why=why, to_change="change it"
    )


def verdict(*findings):
    return Verdict(
        run_id="r",
        criteria="default",
        criteria_sha256="0" * 64,
        spend=0.01,
        attempt=1,
        series=1,
        picked=False,
        findings=findings,
    )


findings = st.builds(finding, st.sampled_from(list(Kind)), st.sampled_from(ANSWERS), st.booleans())


def test_each_status_has_the_exit_code_of_the_command_line():
    assert {str(one): one.exit_code for one in Status} == {"PASS": 0, "FAIL": 1, "REFUSED": 3, "INCONCLUSIVE": 4}


@pytest.mark.parametrize(
    ("kind", "passed", "status"),
    [
        ("integrity", False, "REFUSED"),
        ("limit", False, "FAIL"),
        ("rule", False, "FAIL"),
        ("evidence", False, "INCONCLUSIVE"),
        ("count", False, "INCONCLUSIVE"),
        *((kind, None, "INCONCLUSIVE") for kind in ("integrity", "limit", "rule", "evidence", "count")),
    ],
)
def test_one_unmet_criterion_among_met_ones_decides_by_its_kind(kind, passed, status):
    met = tuple(finding(one, True) for one in Kind)
    assert decide(met) is Status.PASS
    assert decide((*met, finding(kind, passed))) == status


def test_a_rule_does_not_fail_within_its_interval_or_before_the_counts_are_met():
    assert decide((finding("rule", False, doubtful=True), finding("count", True))) is Status.INCONCLUSIVE
    for counted in (False, None):
        assert decide((finding("rule", False), finding("count", counted))) is Status.INCONCLUSIVE
        assert decide((finding("limit", False), finding("count", counted))) is Status.FAIL


def test_what_cannot_be_trusted_is_refused_whatever_else_was_found():
    for kind, passed in product(Kind, ANSWERS):
        assert decide((finding(kind, passed), finding("integrity", False))) is Status.REFUSED


def test_nothing_asked_is_nothing_passed():
    assert decide(()) is Status.INCONCLUSIVE


@given(st.lists(findings, max_size=6), st.data())
def test_losing_what_is_known_never_makes_a_pass(some, data):
    before = decide(tuple(some))
    if not some or before is Status.PASS:
        return
    at = data.draw(st.integers(0, len(some) - 1))
    some[at] = finding(some[at].criterion.kind, None)
    assert decide(tuple(some)) is not Status.PASS


@given(st.lists(findings, max_size=6), st.randoms())
def test_the_order_of_findings_does_not_matter(some, random):
    before = decide(tuple(some))
    random.shuffle(some)
    assert decide(tuple(some)) is before


@given(st.text(max_size=60), st.text(max_size=60))
def test_junit_stays_readable_whatever_the_texts_say(name, why):
    told = verdict(finding("rule", False, name=name, why=why), finding("count", None, why=why), finding("rule", True))
    suite = ElementTree.fromstring(told.to_junit().encode())
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    assert [[told.tag for told in case] for case in suite.iter("testcase")] == [["failure"], ["error"], ["system-out"]]


@given(st.text(max_size=60))
def test_a_name_cannot_break_out_of_its_row_of_the_markdown_table(name):
    told = verdict(finding("rule", True, name=name)).to_markdown()
    (row,) = told.splitlines()[6:]
    assert row.replace("\\|", "").count("|") == 5


def test_markdown_says_what_would_change_an_unmet_criterion():
    told = verdict(finding("rule", False, name="costs"), finding("rule", True, name="noise")).to_markdown()
    assert told.startswith("## Verdict: FAIL\n")
    assert "- **costs**: seen. Change it." in told
    assert "- **noise**" not in told


def test_the_dictionary_is_versioned_and_says_which_criteria_were_held():
    told = verdict(finding("rule", None)).to_dict()
    assert (told["schema_version"], told["status"], told["exit_code"]) == ("1", "INCONCLUSIVE", 4)
    assert told["criteria"] == {"name": "default", "sha256": "0" * 64, "spend": 0.01}
    (one,) = told["findings"]
    assert (one["kind"], one["hard"], one["passed"], one["value"], one["why"]) == ("rule", True, None, None, "seen")


def test_a_finding_tells_the_threshold_as_asked_and_as_it_was():
    criterion = Criterion(
        name="x",
        metric="oos.x",
        operator="<=",
        threshold="mandate.max_drawdown",
        kind=Kind.RULE,
        why="because",
        interval="gate.x_low",
    )
    told = Finding(criterion=criterion, value=0.1, threshold=0.2, passed=True, why="seen", to_change="").to_dict()
    assert (told["asked"], told["threshold"], told["interval"]) == ("mandate.max_drawdown", 0.2, "gate.x_low")


def test_what_would_change_it_is_told_as_a_sentence_and_a_command_keeps_its_letter():
    assert sentence("run it again") == "Run it again."
    assert sentence("wfbt check lookahead names the bar.") == "wfbt check lookahead names the bar."
    assert sentence("") == ""
