"""What is exported from which workload: the variants of the benchmark."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from workload import EVENT_FIELDS, FIELDS, Identities, Parameters


@dataclass(frozen=True, kw_only=True)
class Request:
    """What every contender is asked for. ``identityMap`` is always part of it."""

    #: Links make profiles (``pdg``), or every identity is a profile of its own (``none``).
    is_stitched: bool = False
    fields: tuple[str, ...] = FIELDS
    #: Empty: no events at all.
    event_fields: tuple[str, ...] = EVENT_FIELDS
    #: Which segments are evaluated instead of an export; empty: none.
    segments: str = ""

    @classmethod
    def of(cls, document: dict[str, Any]) -> Request:
        return cls(
            is_stitched=document["is_stitched"],
            fields=tuple(document["fields"]),
            event_fields=tuple(document["event_fields"]),
            segments=document["segments"],
        )


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One variant: its data, what is asked of it, and what it is there to show."""

    name: str
    shows: str
    parameters: Parameters
    request: Request
    #: Everybody takes part in this one; elsewhere only those that finish it in reasonable time.
    is_main: bool = False
    #: The store is compacted before it is exported.
    is_compacted: bool = False


def scenarios(profiles: int) -> tuple[Scenario, ...]:
    """Give all variants at a number of profiles, the main one first."""
    plain = Parameters(profiles=profiles)
    return (
        Scenario(
            name="none",
            shows="20 fields, identityMap and three event fields; every identity is a profile",
            parameters=plain,
            request=Request(),
            is_main=True,
        ),
        Scenario(
            name="two-fields",
            shows="a string, a double and identityMap, no events: what is not asked for is free",
            parameters=plain,
            request=Request(fields=("s0", "n0"), event_fields=()),
        ),
        Scenario(
            name="pdg-linked",
            shows="half of the profiles have 2 to 4 identities, linked by events or one data set",
            parameters=replace(plain, identities=Identities.LINKED),
            request=Request(is_stitched=True),
        ),
        Scenario(
            name="pdg-namespaces",
            shows="every source is keyed by a namespace of its own",
            parameters=replace(plain, identities=Identities.NAMESPACES),
            request=Request(is_stitched=True),
        ),
        Scenario(
            name="small-batches",
            shows="the same rows in 200 batches instead of 27",
            parameters=replace(plain, record_batches=59, event_batches=23),
            request=Request(),
            is_compacted=True,
        ),
        Scenario(
            name="heavy-identity",
            shows="one identity holds a tenth of all events",
            parameters=replace(plain, is_heavy=True),
            request=Request(),
        ),
        Scenario(
            name="segments",
            shows="a hundred segments instead of an export, half of them about events",
            parameters=plain,
            request=Request(segments="plain"),
        ),
        Scenario(
            name="segments-chained",
            shows="the same, ten of them about two events in a row",
            parameters=plain,
            request=Request(segments="chained"),
        ),
    )
