"""Merge policies as Adobe writes them: section 5 of the contract sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

import catalog.merge_policies as nouns
from catalog.errors import InvalidField
from catalog.merge_policies import (
    AttributeMerge,
    IdentityGraph,
    MergePolicyDraft,
    MergePolicyFilter,
    MergeRules,
)
from catalog.organisations import Sandbox
from service.surfaces.adobe.wire import Wire, sandboxes
from service.surfaces.adobe.wire.documents import Patch

Sort = Literal["name", "created", "updated"]

#: What listings can be sorted by, as callers call it.
_SORTS: dict[str, Sort] = {
    "name": "name",
    "createEpoch": "created",
    "created": "created",
    "updateEpoch": "updated",
    "updated": "updated",
}


def _spoken(value: object) -> object:
    return (
        {"true": True, "false": False}.get(value.lower(), value)
        if isinstance(value, str)
        else value
    )


#: A boolean, or the word for it: documents and clients write both.
Flag = Annotated[StrictBool, BeforeValidator(_spoken)]


class SchemaName(Wire):
    name: str


class Graph(Wire):
    type: IdentityGraph = IdentityGraph.NONE


class Merge(Wire):
    type: AttributeMerge = AttributeMerge.TIMESTAMP_ORDERED
    order: list[str] | None = None


class NewMergePolicy(Wire):
    """The body of a create or replace call. Booleans may be written as strings."""

    name: str = ""
    schema_name: SchemaName = Field(
        default_factory=lambda: SchemaName(name=nouns.SCHEMA_NAMES[0]), alias="schema"
    )
    identity_graph: Graph = Field(default_factory=Graph)
    attribute_merge: Merge = Field(default_factory=Merge)
    default: Flag = False
    is_active_on_edge: Flag = False

    def draft(self) -> MergePolicyDraft:
        return MergePolicyDraft(
            name=self.name,
            schema_name=self.schema_name.name,
            rules=MergeRules(
                identity_graph=self.identity_graph.type,
                attribute_merge=self.attribute_merge.type,
                dataset_order=tuple(self.attribute_merge.order or ()),
            ),
            is_default=self.default,
            is_active_on_edge=self.is_active_on_edge,
        )


class Named(Wire):
    id: str


class Wanted(Wire):
    """The body of a call for several policies at once."""

    ids: list[Named] = Field(max_length=1000)


class Listing(BaseModel):
    """The query of a list call."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    limit: Annotated[int, Field(ge=1, le=1000)] = 20
    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    order_by: str = Field("", validation_alias=AliasChoices("orderBy", "orderby"))
    default: Flag | None = None
    is_active_on_edge: Flag | None = Field(None, alias="isActiveOnEdge")
    schema_name: str | None = Field(None, alias="schema.name")
    identity_graph: IdentityGraph | None = Field(None, alias="identityGraph.type")
    attribute_merge: AttributeMerge | None = Field(None, alias="attributeMerge.type")
    version: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None

    def filter(self) -> MergePolicyFilter:
        field = self.order_by.strip().lstrip("+-") or "created"
        if field not in _SORTS:
            raise InvalidField("orderBy", f"{field!r} is none of {', '.join(_SORTS)}")
        return MergePolicyFilter(
            schema_name=self.schema_name,
            identity_graph=self.identity_graph,
            attribute_merge=self.attribute_merge,
            is_default=self.default,
            is_active_on_edge=self.is_active_on_edge,
            version=self.version,
            sort=_SORTS[field],
            is_descending=self.order_by.strip().startswith("-"),
        )


def written(policy: nouns.MergePolicy) -> dict[str, Any]:
    """The part of a policy that callers write."""
    merge: dict[str, Any] = {"type": policy.rules.attribute_merge}
    if policy.rules.dataset_order:
        merge["order"] = list(policy.rules.dataset_order)
    return {
        "name": policy.name,
        "schema": {"name": policy.schema_name},
        "identityGraph": {"type": policy.rules.identity_graph},
        "attributeMerge": merge,
        "default": policy.is_default,
        "isActiveOnEdge": policy.is_active_on_edge,
    }


def patched(policy: nouns.MergePolicy, patch: Patch) -> dict[str, Any]:
    """What callers write, changed. Paths may go down by a dot: ``/attributeMerge.type``."""
    operations = patch.root if isinstance(patch.root, list) else [patch.root]
    slashed = [each.model_copy(update={"path": each.path.replace(".", "/")}) for each in operations]
    return Patch(slashed).applied(written(policy))


def policy(found: nouns.MergePolicy, sandbox: Sandbox) -> dict[str, Any]:
    """One policy as an answer."""
    return {
        "id": found.id,
        "imsOrgId": sandbox.organisation_id,
        "sandbox": sandboxes.named(sandbox),
        "version": found.version,
        **written(found),
        "updateEpoch": int(found.updated_at.timestamp()),
    }


def listing(
    found: Sequence[nouns.MergePolicy],
    total_count: int,
    asked: Listing,
    query: dict[str, str],
    sandbox: Sandbox,
) -> dict[str, Any]:
    """One page of policies; the link to the next holds all that was asked."""
    following = asked.start + len(found)
    href = ""
    if found and following < total_count:
        more = {**query, "start": following, "limit": asked.limit}
        href = f"@/mergePolicies?{urlencode(more)}"
    return {
        "_page": {"totalCount": total_count, "pageSize": len(found)},
        "children": [policy(each, sandbox) for each in found],
        "_links": {"next": {"href": href}},
    }
