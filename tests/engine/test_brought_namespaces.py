"""How many namespaces that nobody has registered the rows of a batch may name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from catalog.identities import MOST_BROUGHT_AT_ONCE, MOST_WITH_BROUGHT, may_be_brought
from catalog.schemas import IDENTITY_MAP, Field
from service.engine import json_rows
from service.engine.orders import IdentityRules, Promoted, Reason
from service.engine.rows import TOO_MANY_NAMESPACES
from tests.engine.intake import TEXT, Intake, identity, lines

FIELDS = (Field("crm", TEXT), IDENTITY_MAP)
KNOWN = {"4": "ECID", "6": "Email"}
REFUSAL = (
    "identityMap: rows name more than 3 namespaces that nobody has registered; register those"
    " that are meant"
)


def rows_in(codes: Iterable[str]) -> bytes:
    return lines(*({"identityMap": {code: [{"id": "1"}]}} for code in codes))


def promoted(intake: Intake, *files: bytes, **changes: Any) -> Promoted:
    rules = IdentityRules(codes=KNOWN, most_brought=3)
    uploads = {str(number): content for number, content in enumerate(files)}
    return intake.promote(
        uploads, *FIELDS, **{"for_profile": True, "identity_rules": rules, **changes}
    )


def test_as_many_namespaces_are_brought_as_may_beside_those_that_are_known(intake: Intake) -> None:
    """Spellings and numbers of one namespace are one."""
    done = promoted(intake, rows_in(["a", "A", "b", "ecid", "6", "EMAIL", "c", "a"]))
    assert not done.is_refused
    assert done.namespaces == ("a", "b", "ecid", "Email", "c")


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("tolerated", [0, 99])
def test_a_batch_that_brings_one_more_fails_whatever_may_be_lost(
    intake: Intake, *, together: bool, tolerated: float
) -> None:
    """In whichever file it stands, and with rows of which each brings but one."""
    codes = ["a", "b", "c", "d"]
    files = [rows_in(codes)] if together else [rows_in([code]) for code in codes]
    done = promoted(intake, *files, tolerated_percentage=tolerated, with_diagnostics=True)
    assert done.is_refused
    assert (done.dataset_files, done.store_files, done.namespaces) == ((), (), ())
    assert done.reasons == (Reason(code=TOO_MANY_NAMESPACES, message=REFUSAL, row_count=1),)
    (error,) = done.errors
    assert (error.path, error.row) == ("0" if together else "3", 0)


def test_rows_that_are_read_piece_by_piece_are_counted_together(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 40)
    done = promoted(intake, rows_in("abcd"), threads=2)
    assert done.is_refused
    assert {reason.code for reason in done.reasons} == {TOO_MANY_NAMESPACES}


def test_namespaces_of_data_that_reach_no_profile_are_any_number(intake: Intake) -> None:
    done = promoted(intake, rows_in("abcde"), for_profile=False)
    assert len(intake.rows(done)) == 5


def test_a_namespace_of_a_descriptor_is_one_of_them(intake: Intake) -> None:
    sent = lines(*({"crm": "1", "identityMap": {code: [{"id": "1"}]}} for code in "abc"))
    by_crm = (identity("crm", "CRM", primary=True),)
    assert promoted(intake, sent, identities=by_crm).is_refused
    known = IdentityRules(codes={**KNOWN, "9": "crm"}, most_brought=3)
    assert not promoted(intake, sent, identities=by_crm, identity_rules=known).is_refused


def test_a_sandbox_that_has_many_is_brought_fewer_and_then_none() -> None:
    assert may_be_brought(0) == may_be_brought(MOST_WITH_BROUGHT // 2) == MOST_BROUGHT_AT_ONCE
    assert may_be_brought(MOST_WITH_BROUGHT - 7) == 7
    assert may_be_brought(MOST_WITH_BROUGHT) == may_be_brought(MOST_WITH_BROUGHT + 1) == 0
