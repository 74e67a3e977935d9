"""Files as others made them are promoted as they are."""

from __future__ import annotations

import json
from datetime import date

from catalog.schemas import IDENTITY_MAP, Field
from tests.engine.builders import key_of
from tests.engine.intake import DAY, LONG, NUMBER, TEXT, WHOLE, Intake, an_object, identity
from tests.engine.promoted import EVENT, EVENT_ROWS, LINKS, RECORDS, key
from tests.samples import sample

LUMA = an_object("systemIdentifier", Field("crmId", TEXT), Field("loyaltyId", TEXT))
TENANT = an_object("_yourTenantId", LUMA)


def test_luma_loyalty_is_read_as_it_is(intake: Intake) -> None:
    loyalty = an_object(
        "loyalty", Field("points", LONG), Field("tier", TEXT), Field("joinDate", DAY)
    )
    promoted = intake.promote(
        sample("luma/luma-loyalty.json").read_bytes(),
        TENANT,
        loyalty,
        for_profile=True,
        identities=(
            identity("_yourTenantId.systemIdentifier.loyaltyId", "lumaLoyaltyId", primary=True),
            identity("_yourTenantId.systemIdentifier.crmId", "lumaCrmId"),
        ),
    )
    assert promoted.errors == ()
    assert promoted.ignored_fields == ("person",)
    assert promoted.namespaces == ("lumaLoyaltyId", "lumaCrmId")
    counts = [len(intake.stored(promoted, kind)) for kind in (RECORDS, LINKS)]
    assert counts == [999, 660]


def test_luma_web_events_are_read_as_they_are(intake: Intake) -> None:
    commerce = an_object("commerce", an_object("saveForLaters", Field("value", NUMBER)))
    content = sample("luma/luma-web-events.json").read_bytes()
    promoted = intake.promote(content, *EVENT, commerce, is_event=True, for_profile=True)
    assert promoted.errors == ()
    found = intake.stored(promoted, EVENT_ROWS)
    assert len(found) == 1000
    written = {row["_id"]: row for row in json.loads(content)}
    for row in found:
        (ecid,) = written[row["_id"]]["identityMap"]["ECID"]
        assert key(row) == key_of(("ecid", ecid["id"]))
        saved = written[row["_id"]]["commerce"].get("saveForLaters")
        assert row["commerce.saveForLaters.value"] == (saved and float(saved["value"]))


def test_the_sample_customers_are_read_as_they_are(intake: Intake) -> None:
    content = sample("etl-reference/CRM_profiles.json").read_bytes()
    person = an_object("person", Field("birthDate", DAY), Field("birthYear", WHOLE))
    promoted = intake.promote(content, person, IDENTITY_MAP, for_profile=True)
    assert promoted.errors == ()
    written = json.loads(content)
    found = intake.rows(promoted)
    assert [row["identityMap"] for row in found] == [row["identityMap"] for row in written]
    for row, source in zip(found, written, strict=True):
        year, month, day = map(int, source["person"]["birthDate"].split("-"))
        assert row["person"]["birthDate"] == date(year, month, day)
