"""Whom promoted rows are about: the primary identity, the identities that are kept, the links."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.schemas import IDENTITY_MAP, Field
from service.engine.rows import MISSING_FIELD
from tests.engine.builders import key_of
from tests.engine.intake import DAY, LONG, NUMBER, Intake, an_object, identity, lines
from tests.engine.promoted import BY_CRM, IDENTITIES, LINKS, RECORD, RECORDS, key, named


@pytest.mark.parametrize(
    ("row", "primary"),
    [
        ({"crm": "1"}, ("crm", "1")),
        ({"crm": "1", **named("ecid:2!")}, ("crm", "1")),
        ({"crm": "1", **named("ecid:2!", "ecid:3!")}, ("crm", "1")),
        (named("ECID:2!", "x:3"), ("ecid", "2")),
        (named("ecid:2!", "ECID:2!"), ("ecid", "2")),
        ({"crm": " ", **named("ecid:2")}, ("ecid", "2")),
        ({"email": "a@example.com"}, ("email", "a@example.com")),
        (named("ecid:2", "Ecid:2"), ("ecid", "2")),
    ],
)
def test_the_primary_identity_is_described_or_flagged_or_the_only_one(
    intake: Intake, row: Any, primary: tuple[str, str]
) -> None:
    identities = (identity("crm", "CRM", primary=True), identity("email", "Email"))
    promoted = intake.promote(lines(row), *RECORD, for_profile=True, identities=identities)
    (record,) = intake.stored(promoted, RECORDS)
    assert key(record) == key_of(primary)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "x"}, "no primary identity: the row names none"),
        (named("ecid:2", "ecid:3"), "no primary identity: the row names several and marks none"),
        (named("ecid:2!", "ecid:3!"), "no primary identity: identityMap marks several"),
        ({"crm": "x" * 1025}, "an identity of more than 1,024 characters"),
    ],
)
def test_a_row_whose_primary_identity_cannot_be_told_is_refused(
    intake: Intake, row: Any, message: str
) -> None:
    content = lines({"crm": "1"}, row)
    assert intake.refusal(content, *RECORD, **BY_CRM) == (2, MISSING_FIELD, message)


def test_without_a_profile_nobody_needs_an_identity(intake: Intake) -> None:
    promoted = intake.promote(lines({"name": "x"}), *RECORD)
    assert promoted.errors == ()
    assert promoted.store_files == ()


def test_identities_in_fields_of_any_kind_are_texts(intake: Intake) -> None:
    fields = (
        an_object("ids", Field("n", LONG), Field("day", DAY), Field("x", NUMBER)),
        IDENTITY_MAP,
    )
    identities = (
        identity("ids.n", "N", primary=True),
        identity("ids.day", "D"),
        identity("ids.x", "X"),
    )
    row = {"ids": {"n": 7, "day": "2004-09-25", "x": 0.5}}
    promoted = intake.promote(lines(row), *fields, for_profile=True, identities=identities)
    found = {(row["namespace"], row["value"]) for row in intake.stored(promoted, IDENTITIES)}
    assert found == {("n", "7"), ("d", "2004-09-25"), ("x", "0.5")}


def test_identities_are_kept_once_per_owner_with_their_strongest_state(intake: Intake) -> None:
    def seen(state: str | None) -> Any:
        return {"crm": "1", "identityMap": {"ECID": [{"id": "2", "authenticatedState": state}]}}

    rows = [seen("loggedOut"), seen("authenticated"), seen("nonsense"), {"crm": "3"}]
    promoted = intake.promote(lines(*rows), *RECORD, **BY_CRM)
    found = intake.stored(promoted, IDENTITIES)
    keys = [(key(row), key(row, "id")) for row in found]
    assert keys == sorted(keys)
    one, three, ecid = key_of(("crm", "1")), key_of(("crm", "3")), key_of(("ecid", "2"))
    assert {
        (key(row), key(row, "id"), row["namespace"], row["value"], row["state"]) for row in found
    } == {
        (one, one, "crm", "1", 0),
        (one, ecid, "ecid", "2", 2),
        (three, three, "crm", "3", 0),
    }


def test_identities_of_one_row_are_linked_by_its_smallest_key(intake: Intake) -> None:
    rows = [named("a:1!", "b:2", "c:3", "part:4"), named("a:1!", "part:4"), named("b:2!", "A:1")]
    promoted = intake.promote(
        lines(*rows), *RECORD, for_profile=True, unlinked_namespaces=("part",)
    )
    keys = sorted(key_of((code, value)) for code, value in (("a", "1"), ("b", "2"), ("c", "3")))
    pair = tuple(sorted((key_of(("a", "1")), key_of(("b", "2")))))
    found = [(key(row), key(row, "other")) for row in intake.stored(promoted, LINKS)]
    assert found == sorted({(keys[0], keys[1]), (keys[0], keys[2]), pair})


def test_namespaces_are_told_as_first_spelled_in_order_of_first_sight(intake: Intake) -> None:
    rows = [named("web:1!"), {"crm": "1", **named("Ecid:2", "ECID:3")}, named("WEB:1!", "app:1")]
    promoted = intake.promote(lines(*rows), *RECORD, **BY_CRM)
    assert promoted.namespaces == ("web", "CRM", "ECID", "app")
