"""What is ingested during an attack, and how many profiles and events must come of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

#: People of one file, and how far the next begins after it: each person is in three files.
PEOPLE = 900
STEP = 300
EVENTS = 2_000
#: This many people share a device, and with it a profile when identities are stitched.
SHARERS = 3
VARIANTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One file of people or of their clicks, the same bytes whenever it is sent."""

    kind: str
    number: int

    def content(self) -> bytes:
        return _content(self.kind, self.number)

    def people(self) -> range:
        return range(self.number * STEP, self.number * STEP + PEOPLE)

    def clicks(self) -> Iterator[tuple[str, int]]:
        """The id of every event and who did it."""
        for number in range(EVENTS):
            yield f"click-{self.number}-{number}", self.number * STEP + number % PEOPLE


PEOPLE_FILES = tuple(Variant(kind="people", number=number) for number in range(VARIANTS))
CLICK_FILES = tuple(Variant(kind="clicks", number=number) for number in range(VARIANTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an export counts."""

    profiles: int
    events: int


def expected(
    people: Iterable[Variant], clicks: Iterable[Variant], *, stitched: bool, with_events: bool
) -> Expected:
    """What an export over these files holds, worked out from nothing but the files."""
    known = {person for variant in people for person in variant.people()}
    done = {id: person for variant in clicks for id, person in variant.clicks()}
    if stitched:
        profiles = {_device(person) for person in known}
        # A click names its person alone: it is the profile's only if a row of people says so.
        attached = sum(person in known for person in done.values())
    else:
        profiles = known
        attached = sum(person in known for person in done.values())
    return Expected(profiles=len(profiles), events=attached if with_events else 0)


def nicknames(people: Iterable[Variant]) -> dict[str, str]:
    """Who is called what after these files, the last of which counts: by the person's address."""
    return {
        _address(person): _nickname(person, variant.number)
        for variant in people
        for person in variant.people()
    }


def _device(person: int) -> int:
    return person // SHARERS


@cache
def _content(kind: str, number: int) -> bytes:
    rows = _people(number) if kind == "people" else _clicks(number)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def _people(number: int) -> Iterator[dict[str, Any]]:
    for person in Variant(kind="people", number=number).people():
        yield {
            "nickname": _nickname(person, number),
            "identityMap": {
                **_email(person),
                "Device": [{"id": f"device-{_device(person)}"}],
            },
        }


def _clicks(number: int) -> Iterator[dict[str, Any]]:
    for id, person in Variant(kind="clicks", number=number).clicks():
        yield {
            "_id": id,
            "timestamp": "2026-01-01T00:00:00Z",
            "eventType": "click",
            "identityMap": _email(person),
        }


def _email(person: int) -> dict[str, Any]:
    return {"Email": [{"id": _address(person), "primary": True}]}


def _address(person: int) -> str:
    return f"p{person}@example.com"


def _nickname(person: int, number: int) -> str:
    return f"{person} as of file {number}"
