"""Published schemas are held to the letter, by us as by others."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfbt.errors import ArtifactError, ConfigError
from wfbt.gate.shape import PUBLISHED, parse, schema, schema_text, shaped

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 1, "maxLength": 3},
        "kind": {"enum": ["a", "b"]},
        "rows": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"$ref": "#/$defs/row"}},
        "open": {"type": "object", "properties": {"b": {"type": "null"}}},
    },
    "$defs": {"row": {"type": ["number", "null"], "minimum": 0, "maximum": 1}},
}


def said(tree):
    try:
        shaped(tree, SCHEMA, "file")
    except ArtifactError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ([], "file must be an object, was []"),
        ({}, "file: name is missing"),
        ({"name": 1}, "file: name must be text, was 1"),
        ({"name": ""}, "file: name must match ^[a-z]+$, was ''"),
        ({"name": "a\n"}, "file: name must match ^[a-z]+$, was 'a\\n'"),
        ({"name": "abcd"}, "file: name: length must be <= 3, was 4"),
        ({"name": "a", "kind": "c"}, "file: kind must be a or b, was 'c'"),
        ({"name": "a", "rows": []}, "file: rows: length must be >= 1, was 0"),
        ({"name": "a", "rows": [0, True]}, "file: rows[1] must be a number or null, was True"),
        ({"name": "a", "rows": [0.5, 2]}, "file: rows[1] must be <= 1, was 2"),
        ({"name": "a", "opne": 1}, "file: unknown key 'opne'; did you mean open?"),
        ({"name": "a", "open": {"c": 1, "b": None}}, ""),
    ],
)
def test_what_breaks_a_rule_is_named_with_key_rule_and_value(tree, words):
    assert said(tree) == words


def test_keys_come_out_in_the_order_of_the_schema_and_unknown_ones_last():
    out = shaped({"open": {"c": 1, "b": None}, "name": "a"}, SCHEMA, "file")
    assert json.dumps(out) == '{"name": "a", "open": {"b": null, "c": 1}}'


values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats(-1, 2) | st.sampled_from(["", "a", "abc", "abcd", "A"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "kind", "rows", "open", "b", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None)
@given(values | st.builds(lambda tree, name: {**tree, "name": name}, st.dictionaries(
    st.sampled_from(["kind", "rows", "open"]), values, max_size=3), st.sampled_from(["a", "abc", ""])))  # fmt: skip
def test_we_refuse_what_another_validator_refuses(tree):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    assert (said(tree) == "") == jsonschema.Draft202012Validator(SCHEMA).is_valid(tree)


def test_true_is_no_one():
    with pytest.raises(ArtifactError, match="file must be 0 or 1, was True"):
        shaped(True, {"enum": [0, 1]}, "file")


def test_a_rule_that_is_not_held_is_an_error_of_the_schema():
    with pytest.raises(NotImplementedError, match="oneOf"):
        shaped(1, {"oneOf": []}, "file")


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_published_schema_is_a_schema_and_each_of_its_patterns_is_anchored(name):
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    jsonschema.Draft202012Validator.check_schema(schema(name))
    patterns = [one["pattern"] for one in schema(name)["$defs"].values() if "pattern" in one]
    assert all(one.startswith("^") and one.endswith("$") for one in patterns)
    assert json.loads(schema_text(name)) == schema(name)


def test_a_schema_that_is_not_published_is_said_to_be_none():
    with pytest.raises(ConfigError, match="schema: must be one of verdict, was 'result'; no other is published"):
        schema_text("result")


@given(st.binary(max_size=200))
def test_bytes_are_parsed_or_refused_in_one_message(data):
    try:
        tree = parse(data, "file", 1000)
    except ArtifactError:
        return
    assert json.loads(data) == tree


def test_what_is_no_plain_json_is_refused():
    for data, words in (
        (b'{"a": 1, "b": 2, "a": 1}', "repeats the key 'a'"),
        (b'[{"a": Infinity}]', "holds Infinity"),
        (b'[{"a": -1e999}]', "holds '-1e999', which is too large for a number"),
        (b"[" * 7000, "is no JSON"),
        (b"1" * 5000, "is no JSON"),
        (b"\xff", "is no JSON"),
        (b" " * 9000, "at most 8,000 bytes"),
    ):
        with pytest.raises(ArtifactError, match=words):
            parse(data, "file", 8000)
