"""Why a merged profile is as it is, worked out from the files that went in.

This looks at the sources row by row, by the rules and not by the engine: the record sent last
stands whole for its primary identity; of several records, the newest that has a value wins field
by field. What it finds is then held against what was exported, and said when it differs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from catalog.schemas import IDENTITY_MAP, IdentityDescriptor
from service.cli.sources import Source
from service.engine import peek

EVENTS = "timeSeriesEvents"

#: Profiles looked at for some that are worth telling.
_LOOKED_AT = 500

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one record says of one field."""

    source: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldStory:
    """One field of a merged profile and where its value came from."""

    path: str
    #: As exported.
    value: Any
    #: What the records say that have a value, the winner first. Empty: no record has one.
    said: tuple[Said, ...]
    #: Whether the winner's value is the exported one.
    agrees: bool

    @property
    def is_conflict(self) -> bool:
        return any(not same(said.value, self.said[0].value) for said in self.said[1:])

    def because(self) -> str:
        """The reason in words."""
        if not self.said:
            return "in no record"
        winner, *others = self.said
        if not others:
            return "nobody else knows it"
        differing: dict[str, list[str]] = {}
        for each in others:
            if not same(each.value, winner.value):
                who = "an older record" if each.source == winner.source else each.source
                differing.setdefault(who, []).append(shown(each.value))
        if not differing:
            who = " and ".join(dict.fromkeys(each.source for each in others))
            return f"{who} says the same"
        says = "; ".join(f"{who} says {' and '.join(values)}" for who, values in differing.items())
        return f"newest; {says}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileStory:
    """One merged profile."""

    #: Values by namespace.
    identities: Mapping[str, tuple[str, ...]]
    event_count: int
    #: Records it was merged from, by source.
    records: Mapping[str, int]
    #: Rows that a later row of the same identity replaced whole.
    replaced_count: int
    fields: tuple[FieldStory, ...]

    @property
    def agrees(self) -> bool:
        return all(field.agrees for field in self.fields)

    def to_json(self) -> dict[str, Any]:
        return {
            "identities": {space: list(ids) for space, ids in self.identities.items()},
            "event_count": self.event_count,
            "records": dict(self.records),
            "replaced_row_count": self.replaced_count,
            "fields": [
                {
                    "path": field.path,
                    "value": plain(field.value),
                    "source": field.said[0].source if field.said else None,
                    "because": field.because(),
                    "agrees": field.agrees,
                }
                for field in self.fields
            ],
        }


class Evidence:
    """The records of all sources, by the identity each is primarily about."""

    def __init__(self, sources: list[Source]) -> None:
        """``sources`` in the order of their ingestion. Reads every record file once."""
        self._records: dict[Identity, dict[str, tuple[int, peek.Row]]] = defaultdict(dict)
        self._sent: Counter[tuple[Identity, str]] = Counter()
        number = 0
        for source in sources:
            if source.is_event:
                continue
            for row in source.files.rows():
                number += 1
                if primary := _primary(row, source.identities):
                    self._records[primary][source.name] = (number, row)
                    self._sent[primary, source.name] += 1

    def tell(self, profile: peek.Row, event_count: int) -> ProfileStory:
        """Explain one exported profile."""
        identities = {
            namespace: tuple(entry["id"] for entry in entries)
            for namespace, entries in (profile.get(IDENTITY_MAP.name) or {}).items()
        }
        keys = [(space.lower(), id) for space, ids in identities.items() for id in ids]
        found = sorted(
            (
                (number, name, row)
                for key in keys
                for name, (number, row) in self._records.get(key, {}).items()
            ),
            key=lambda each: each[0],
            reverse=True,
        )
        sent = sum(self._sent[key, name] for key in keys for name in self._records.get(key, ()))
        return ProfileStory(
            identities=identities,
            event_count=event_count,
            records=Counter(name for _, name, _ in found),
            replaced_count=sent - len(found),
            fields=tuple(_fields(profile, [(name, row) for _, name, row in found])),
        )


def interesting_profiles(evidence: Evidence, files: list[Path], count: int) -> list[ProfileStory]:
    """Choose exported profiles that show what merging does, each in another way, and explain them.

    Only the first profiles of the first file are looked at, so the choice is always the same.
    """
    filled = [path for path in files if peek.row_count(path)]
    if not filled:
        return []
    columns = [name for name in peek.column_names(filled[0]) if name != EVENTS]
    if IDENTITY_MAP.name not in columns:
        return []
    rows = enumerate(islice(peek.parquet_rows(filled[0], columns), _LOOKED_AT))
    told = []
    for number, row in rows:
        story = evidence.tell(row, 0)
        told.append((number, row, _traits(story), _interest(story)))
    chosen: list[ProfileStory] = []
    seen: set[str] = set()
    for _ in range(min(count, len(told))):
        best = max(told, key=lambda each: (len(each[2] - seen), each[3]))
        told.remove(best)
        number, row, traits, _ = best
        seen |= traits
        chosen.append(evidence.tell(row, _event_count(filled[0], number)))
    return chosen


def same(one: Any, other: Any) -> bool:
    """Whether two values are one, however a file spells it: CSV has only text, JSON no dates."""
    one, other = plain(one), plain(other)
    if isinstance(one, dict) and isinstance(other, dict):
        names = one.keys() | other.keys()
        return all(same(one.get(name), other.get(name)) for name in names)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        return one == other or (_instant(one) is not None and _instant(one) == _instant(other))
    return bool(one == other) or _read(one) == _read(other)


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case dict():
            return {name: plain(inner) for name, inner in value.items()}
        case list():
            return [plain(inner) for inner in value]
        case _:
            return value


def shown(value: Any) -> str:
    """A value for people."""
    value = plain(value)
    if isinstance(value, list):
        return ", ".join(shown(each) for each in value) or "(none)"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _traits(story: ProfileStory) -> set[str]:
    """What a profile is an example of."""
    fields = [field for field in story.fields if field.said]
    traits = {
        "sources disagree": any(
            field.is_conflict and len({said.source for said in field.said}) > 1 for field in fields
        ),
        "sources fill each other's gaps": len({field.said[0].source for field in fields}) > 1,
        "a record was sent again": story.replaced_count > 0,
        "one source knows the person twice": max(story.records.values(), default=0) > 1,
        "several identities of a kind": any(len(ids) > 1 for ids in story.identities.values()),
    }
    return {name for name, is_so in traits.items() if is_so}


def _interest(story: ProfileStory) -> int:
    conflicts = sum(field.is_conflict for field in story.fields)
    return 2 * min(conflicts, 3) + len(story.identities) + len(story.records)


def _fields(profile: peek.Row, records: list[tuple[str, peek.Row]]) -> Iterator[FieldStory]:
    for path, value in _leaves(profile):
        said = tuple(
            Said(source=name, value=candidate)
            for name, row in records
            if _is_something(candidate := _at(row, path))
        )
        if value is None and not said:
            continue
        yield FieldStory(
            path=".".join(path),
            value=value,
            said=said,
            agrees=bool(said) and same(said[0].value, value),
        )


def _leaves(row: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[Any, Any]]:
    for name, value in row.items():
        if not above and name in {IDENTITY_MAP.name, EVENTS}:
            continue
        if isinstance(value, dict):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _at(row: peek.Row, path: tuple[str, ...]) -> Any:
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_something(value: Any) -> bool:
    """Whether a value is one: an object in which there is nothing is none either."""
    if isinstance(value, dict):
        return any(map(_is_something, value.values()))
    return value is not None


def _primary(row: peek.Row, identities: tuple[IdentityDescriptor, ...]) -> Identity | None:
    for identity in identities:
        if identity.is_primary and (value := _at(row, identity.path)) is not None:
            return identity.namespace.lower(), str(value)
    for namespace, entries in (row.get(IDENTITY_MAP.name) or {}).items():
        for entry in entries or ():
            if entry.get("primary"):
                return namespace.lower(), str(entry["id"])
    return None


def _event_count(file: Path, number: int) -> int:
    if EVENTS not in peek.column_names(file):
        return 0
    return len(peek.row_at(file, number, [EVENTS])[EVENTS] or ())


def _read(value: Any) -> Any:
    """Text that means a number or a truth value, as that."""
    if not isinstance(value, str):
        return value
    if value in {"true", "false"}:
        return value == "true"
    try:
        return float(value)
    except ValueError:
        return value


def _instant(text: str) -> datetime | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
