"""Names in rows that no database keeps: what is told of them can be kept, and what rests on them
is refused."""

from __future__ import annotations

import pytest

from catalog.schemas import IDENTITY_MAP, Field
from service.engine.rows import MISSING_FIELD
from service.engine.tally import TOLD_LENGTH
from tests.engine.intake import TEXT, Intake, lines

NAME = Field("name", TEXT)


@pytest.mark.parametrize("code", ["a\0b", "x" * 256])
def test_a_row_in_what_can_be_no_namespace_is_refused(intake: Intake, code: str) -> None:
    rows = [{"identityMap": {each: [{"id": "1"}]}} for each in ("x" * 255, code)]
    message = "identityMap: a namespace of more than 255 characters, or with the character U+0000"
    refusal = intake.refusal(lines(*rows), IDENTITY_MAP, for_profile=True)
    assert refusal == (2, MISSING_FIELD, message)


def test_fields_the_schema_lacks_are_named_as_far_as_they_can_be_told(intake: Intake) -> None:
    promoted = intake.promote(lines({"a\0b": 1, "c" * 5000: 2}), NAME)
    assert promoted.ignored_fields == ("a\ufffdb", "c" * TOLD_LENGTH)
