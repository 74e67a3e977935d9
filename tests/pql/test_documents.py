"""Rules as trees of JSON: read as public samples have them, and written so that they read equal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InvalidRule
from catalog.pql.document_writing import document
from catalog.pql.documents import read_document
from catalog.pql.reading import read
from tests.pql.made_schemas import schemas
from tests.pql.rules import rules

PROFILE = {"nodeType": "literal", "literalType": "XDMObject", "value": "profile"}
EVENTS = {"nodeType": "fieldLookup", "fieldName": "xEvent", "object": PROFILE}


def a_field(name: str, of: object) -> dict:
    return {"nodeType": "fieldLookup", "fieldName": name, "object": of}


def applied(name: str, *params: object) -> dict:
    return {"nodeType": "fnApply", "fnName": name, "params": list(params)}


def a_literal(kind: str, value: object) -> dict:
    return {"nodeType": "literal", "literalType": kind, "value": value}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_is_written_is_read_again_equal(data: st.DataObject):
    rule = data.draw(schemas().flatmap(lambda fields: rules(*fields)))
    assert read_document(json.dumps(document(rule))) == rule


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (
            applied(
                "in",
                a_field("gender", a_field("person", PROFILE)),
                a_literal("List", ["female"]),
            ),
            'person.gender in ["female"]',
        ),
        (
            applied(
                "=",
                a_field(
                    "country",
                    a_field("workAddress", {"nodeType": "parameterReference", "position": 1}),
                ),
                a_literal("String", "US"),
            ),
            'workAddress.country = "US"',
        ),
        (
            {
                "nodeType": "select",
                "variables": [
                    {
                        "nodeType": "varDecl",
                        "varName": "_Checkouts1",
                        "from": EVENTS,
                        "where": applied(
                            "equals",
                            a_field("eventType", {"nodeType": "varRef", "varName": "_Checkouts1"}),
                            a_literal("String", "commerce.checkouts"),
                            a_literal("Boolean", value=True),
                        ),
                    }
                ],
            },
            (
                "exists _Checkouts1 from xEvent"
                ' where _Checkouts1.eventType.equals("commerce.checkouts")'
            ),
        ),
        (
            applied(
                "=",
                {"nodeType": "fieldLookup", "fieldName": "city"},
                {"nodeType": "literal", "value": "DDN"},
            ),
            'city = "DDN"',
        ),
        (
            applied(
                "and",
                applied("!", EVENTS),
                applied("notIn", a_field("a", PROFILE), a_literal("List", [1])),
            ),
            "not xEvent and a notIn [1]",
        ),
        (applied(">", applied("count", EVENTS), a_literal("Integer", 3)), "xEvent.count() > 3"),
        (
            applied("=", a_field("d", PROFILE), a_literal("Date", "2020-03-14")),
            "d = date(2020, 3, 14)",
        ),
    ],
)
def test_a_tree_says_the_same_as_a_text(tree: dict, text: str):
    assert read_document(json.dumps(tree)) == read(text)


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ("{", "this is no JSON: "),
        ("[]", "expected an object with a nodeType"),
        ("{}", "expected a member nodeType"),
        ('{"nodeType": "fnAply"}', "there is no nodeType fnAply: did you mean fnApply?"),
        (
            json.dumps(applied("eqals", PROFILE, PROFILE)),
            "there is no function eqals: did you mean",
        ),
        (
            json.dumps(applied("and", applied("=", PROFILE, {"nodeType": "literal"}))),
            "params[0].params[1]: expected a member value",
        ),
        (
            json.dumps(applied("not", {"nodeType": "varRef", "varName": "E"})),
            "params[0]: there is no variable E here",
        ),
        (
            json.dumps({"nodeType": "parameterReference", "position": 2}),
            "expected position to be 1",
        ),
        (json.dumps(applied("filter", EVENTS, PROFILE)), "params[1]: expected a lambda"),
        (json.dumps(applied("topN", EVENTS)), "topN takes 3 params, but has 1"),
        (json.dumps(applied("in", PROFILE)), "in does not take 1 params"),
        ('{"nodeType": "literal", "value": NaN}', "nan is no number"),
        ('{"nodeType": "literal", "value": "\\ud800"}', "the text holds half a character"),
        (json.dumps(a_literal("Integer", 2**63)), "does not fit 64 bits"),
        (json.dumps(a_literal("Timestamp", "soon")), "soon is no date, or no instant"),
        (
            json.dumps({"nodeType": "let", "varName": "now", "value": PROFILE, "body": PROFILE}),
            "no variable can be called now",
        ),
        ('{"nodeType": "fnApply", "fnName": "not", "params": [' * 50, "this is no JSON"),
        (
            '{"nodeType": "fnApply", "fnName": "not", "params": [' * 300
            + json.dumps(PROFILE)
            + "]}" * 300,
            "the tree goes more than 100 levels deep",
        ),
    ],
)
def test_a_tree_that_cannot_be_understood_is_refused_where_it_cannot(tree: str, problem: str):
    with pytest.raises(InvalidRule) as refused:
        read_document(tree)
    assert problem in refused.value.problem


def test_a_tree_that_nests_beyond_what_python_reads_is_refused():
    with pytest.raises(InvalidRule, match="levels deep"):
        read_document("[" * 100_000 + "]" * 100_000)
