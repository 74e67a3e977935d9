"""Entities as Adobe writes them: section 9 of the contract sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

import catalog.entities as nouns
from catalog.entities import MOST_EVENTS, MOST_IDENTITIES, Entity, EntityEvent, Member
from catalog.errors import InvalidField, NotFound
from catalog.identities import IDENTITY_VALUE_LENGTH
from catalog.schemas import Path
from service.surfaces.adobe.wire.batches import milliseconds

ENTITIES = "/data/core/ups/access/entities"
PROFILES = "_xdm.context.profile"
EVENTS = "_xdm.context.experienceevent"

#: 9999-12-31: the last day that instants can name.
_MOST_MILLISECONDS = 253_402_214_400_000
_EPOCH = "1970-01-01T00:00:00Z"


def _absent(value: object) -> object:
    """An empty text says nothing: known clients send some."""
    return None if value == "" else value


def _order(value: object) -> object:
    # A plus sign in a query is a blank once it is read.
    return value[1:] if isinstance(value, str) and value[:1] in {"+", " "} else value


def _listed(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


def _instant(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


Text = Annotated[str | None, BeforeValidator(_absent)]
Milliseconds = Annotated[int, Field(ge=0, le=_MOST_MILLISECONDS)]
Order = Annotated[str, Field(pattern="^-?timestamp$"), BeforeValidator(_order)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Count = Annotated[int, Field(ge=1, le=MOST_EVENTS)]
#: Events to skip.
Offset = Annotated[int, Field(ge=0, le=1_000_000_000)]


class EntityQuery(BaseModel):
    """The query of a look-up of one profile, or of its events."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    schema_name: str = Field(alias="schema.name")
    related_schema_name: Text = Field(None, alias="relatedSchema.name")
    entity_id: Text = Field(None, alias="entityId")
    entity_namespace: Text = Field(None, alias="entityIdNS")
    related_id: Text = Field(None, alias="relatedEntityId")
    related_namespace: Text = Field(None, alias="relatedEntityIdNS")
    merge_policy_id: Text = Field(None, alias="mergePolicyId")
    fields: Names | None = None
    start_time: Milliseconds | None = Field(None, alias="startTime")
    end_time: Milliseconds | None = Field(None, alias="endTime")
    limit: Count = MOST_EVENTS
    orderby: Order = "timestamp"
    #: One known client follows pages by ``offsets``; both are events to skip.
    start: Offset | None = None
    offsets: Offset | None = None
    event_property: Text = Field(None, alias="property")
    explain: bool = False

    def request(self) -> nouns.EntityRequest:
        """What is asked; refuses with InvalidField what contradicts itself."""
        is_about_events = _is_about_events(self.schema_name, self.related_schema_name)
        if self.event_property is not None:
            raise InvalidField("property", "filters of events are not supported: leave it out")
        id, namespace = self.entity_id, self.entity_namespace
        if is_about_events and self.related_id is not None:
            id, namespace = self.related_id, self.related_namespace
        if id is None:
            raise InvalidField("entityId", "is missing: whom is this about?")
        return nouns.EntityRequest(
            identities=(nouns.AskedIdentity(id=id, namespace=namespace),),
            merge_policy_id=self.merge_policy_id,
            fields=_paths(self.fields or ()),
            events=self._window() if is_about_events else None,
            is_explained=self.explain,
        )

    def _window(self) -> nouns.EventWindow:
        return _window(
            since=self.start_time,
            until=self.end_time,
            orderby=self.orderby,
            start=self.skip,
            limit=self.limit,
        )

    @property
    def skip(self) -> int:
        return self.offsets if self.offsets is not None else self.start or 0

    def next_href(self) -> str:
        """The address of the next page, as a path below ``/data/core/ups``."""
        start = self.skip + self.limit
        given = self.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
        given |= {"start": start, "offsets": start}
        if "fields" in given:
            given["fields"] = ",".join(self.fields or ())
        if "explain" in given:
            given["explain"] = "true" if self.explain else "false"
        return f"/access/entities?{urlencode(given)}"


class NamedSchema(BaseModel):
    name: str


class NamespaceCode(BaseModel):
    code: str = Field(min_length=1)


class EntityIdentity(BaseModel):
    """One identity of a bulk look-up; without a namespace its id is an XID."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    entity_id: str = Field(alias="entityId", min_length=1, max_length=IDENTITY_VALUE_LENGTH)
    namespace: NamespaceCode | None = Field(None, alias="entityIdNS")

    @model_validator(mode="before")
    @classmethod
    def _spelt_out(cls, value: Any) -> Any:
        """Take a namespace that is given by its code alone."""
        if isinstance(value, dict) and isinstance(value.get("entityIdNS"), str):
            return {**value, "entityIdNS": {"code": value["entityIdNS"]}}
        return value

    def asked(self) -> nouns.AskedIdentity:
        namespace = self.namespace.code if self.namespace else None
        return nouns.AskedIdentity(id=self.entity_id, namespace=namespace)


class TimeFilter(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    start_time: Milliseconds | None = Field(default=None, alias="startTime")
    end_time: Milliseconds | None = Field(default=None, alias="endTime")


class EntityLookup(BaseModel):
    """The body of a bulk look-up."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    of_schema: NamedSchema = Field(alias="schema")
    related_schema: NamedSchema | None = Field(None, alias="relatedSchema")
    fields: Names | None = None
    identities: tuple[EntityIdentity, ...] = Field(min_length=1, max_length=MOST_IDENTITIES)
    merge_policy: Mapping[str, Any] | None = Field(None, alias="mergePolicy")
    merge_policy_id: Text = Field(None, alias="mergePolicyId")
    time_filter: TimeFilter | None = Field(None, alias="timeFilter")
    limit: Count | None = None
    orderby: Order | None = None
    start: Offset | None = None

    def request(self, *, is_explained: bool) -> nouns.EntityRequest:
        related = self.related_schema.name if self.related_schema else None
        is_about_events = _is_about_events(self.of_schema.name, related)
        times = self.time_filter or TimeFilter.model_validate({})
        return nouns.EntityRequest(
            identities=tuple(identity.asked() for identity in self.identities),
            merge_policy_id=self.merge_policy_id or self._policy(),
            fields=_paths(self.fields or ()),
            events=_window(
                since=times.start_time,
                until=times.end_time,
                orderby=self.orderby or "timestamp",
                start=self.start or 0,
                limit=self.limit or MOST_EVENTS,
            )
            if is_about_events
            else None,
            is_explained=is_explained,
        )

    def _policy(self) -> str | None:
        id = (self.merge_policy or {}).get("id")
        if id is not None and not isinstance(id, str):
            raise InvalidField("mergePolicy.id", "is a text")
        return id


class Explaining(BaseModel):
    """What may stand beside a bulk look-up's body, in its query."""

    explain: bool = False


def profile(found: Entity, *, is_explained: bool) -> dict[str, Any]:
    """One profile, by its XID; refuses with NotFound when no row is about it."""
    if found.attributes is None:
        raise NotFound("profile of", found.asked.id)
    return {found.xid: _profile(found, is_explained=is_explained)}


def profiles(found: Sequence[Entity], *, is_explained: bool) -> dict[str, Any]:
    """Profiles by the XIDs of the identities that were asked for, those without rows empty."""
    return {one.xid: _profile(one, is_explained=is_explained) for one in found}


def events(found: Entity, asked: EntityQuery) -> dict[str, Any]:
    """One page of the events of a profile."""
    if found.attributes is None:
        raise NotFound("profile of", found.asked.id)
    start = asked.skip
    next_start = str(start + asked.limit) if found.has_more_events else ""
    href = asked.next_href() if found.has_more_events else ""
    return _page(found, asked.orderby, start, next_start, href, is_explained=asked.explain)


def many_events(
    found: Sequence[Entity], asked: EntityLookup, *, is_explained: bool
) -> dict[str, Any]:
    """The first page of the events of several profiles, by XID."""
    start, limit = asked.start or 0, asked.limit or MOST_EVENTS
    pages: dict[str, Any] = {}
    for one in found:
        next_start = str(start + limit) if one.has_more_events else ""
        href = "/access/entities" if one.has_more_events else ""
        orderby = asked.orderby or "timestamp"
        pages[one.xid] = _page(one, orderby, start, next_start, href, is_explained=is_explained)
    return pages


def _page(
    found: Entity, orderby: str, start: int, next_start: str, href: str, *, is_explained: bool
) -> dict[str, Any]:
    return {
        "_page": {
            "orderby": orderby,
            "start": str(start),
            "count": len(found.events),
            "next": next_start,
        },
        "children": [_event(found, event, is_explained=is_explained) for event in found.events],
        "_links": {"next": {"href": href}},
    }


def _event(found: Entity, event: EntityEvent, *, is_explained: bool) -> dict[str, Any]:
    shown = {
        "relatedEntityId": found.xid,
        "entityId": event.id or "",
        "timestamp": milliseconds(event.time) if event.time else None,
        "entity": event.fields,
        "lastModifiedAt": _text(event.ingested_at),
    }
    if is_explained:
        shown["explanation"] = {"rule": "attached", **_origin(event.origin)}
    return shown


def _profile(found: Entity, *, is_explained: bool) -> dict[str, Any]:
    is_known = found.attributes is not None
    shown: dict[str, Any] = {
        "entityId": found.xid,
        "requestedIdentity": {
            "entityId": found.asked.id,
            "entityIdNS": {"code": found.asked.namespace} if found.asked.namespace else None,
        },
        "mergePolicy": {"id": found.merge_policy_id or ""},
        "sources": list(found.dataset_ids) if is_known else [""],
        "tags": list(found.batch_ids),
        "identityGraph": [member.xid for member in found.members] if is_known else [],
        "entity": _entity(found.attributes or {}),
        "lastModifiedAt": _text(found.updated_at),
    }
    if is_explained:
        shown["explanation"] = _explanation(found)
    return shown


def _entity(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes, with the list of identities that older clients read beside the map."""
    named = attributes.get("identityMap")
    if not isinstance(named, dict) or "identities" in attributes:
        return dict(attributes)
    identities = [
        {"id": one["id"], "namespace": {"code": code}, "primary": one.get("primary", False)}
        for code, entries in named.items()
        for one in entries
    ]
    return {**attributes, "identities": identities}


def _explanation(found: Entity) -> list[dict[str, Any]]:
    leaves: list[dict[str, Any]] = [
        {
            "path": ".".join(leaf.path),
            "rule": leaf.rule,
            **_origin(leaf.origin),
            "otherRows": leaf.beaten_count,
        }
        for leaf in found.explanation
    ]
    attributes = found.attributes or {}
    for path, rule in (("identityMap", "union"), ("segmentMembership", "latestQualification")):
        if path in attributes:
            leaves.append({"path": path, "rule": rule})
    return leaves


def _origin(origin: nouns.Origin) -> dict[str, Any]:
    return {
        "dataSetId": origin.dataset_id,
        "batchId": origin.batch_id,
        "ingestNumber": origin.ingest_number,
        "row": origin.row,
        "primaryIdentity": _identity(origin.identity),
    }


def _identity(member: Member) -> dict[str, Any]:
    return {"xid": member.xid, "namespace": {"code": member.namespace}, "id": member.value}


def _is_about_events(schema_name: str, related: str | None) -> bool:
    if schema_name not in {PROFILES, EVENTS}:
        raise InvalidField("schema.name", f"{schema_name!r} is neither {PROFILES} nor {EVENTS}")
    if related not in {None, PROFILES}:
        raise InvalidField("relatedSchema.name", f"{related!r} is not {PROFILES}")
    return schema_name == EVENTS


def _window(
    *, since: int | None, until: int | None, orderby: str, start: int, limit: int
) -> nouns.EventWindow:
    return nouns.EventWindow(
        since=_instant(since),
        until=_instant(until),
        is_newest_first=orderby.startswith("-"),
        start=start,
        limit=limit,
    )


def _paths(names: Sequence[str]) -> tuple[Path, ...]:
    stripped = (name.strip() for name in names)
    return tuple(tuple(name.split(".")) for name in stripped if name)


def _text(instant: datetime | None) -> str:
    if instant is None:
        return _EPOCH
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
