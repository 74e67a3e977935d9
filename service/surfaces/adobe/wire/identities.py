"""Identities and their graph as Adobe writes them: section 6 of the contract sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool

from catalog.entities import MOST_IDENTITIES, AskedIdentity, Cluster, Edge, Member, Xid
from catalog.errors import InvalidField
from catalog.identities import IDENTITY_VALUE_LENGTH, Namespace
from service.surfaces.adobe.wire.batches import milliseconds

IDENTITY = "/data/core/identity/identity"
GRAPH = "/data/core/identity/v2/graph"


def _several(value: object) -> object:
    """One known client sends a single identity bare."""
    return [value] if isinstance(value, (str, dict)) else value


Id = Annotated[str, Field(min_length=1, max_length=IDENTITY_VALUE_LENGTH)]
Number = Annotated[int, Field(ge=0)]


class IdentityQuery(BaseModel):
    """Whose XID is asked for."""

    id: Id
    #: Of both, ``namespace`` counts.
    namespace: str | None = None
    nsid: Number | None = None

    def asked(self) -> AskedIdentity:
        return AskedIdentity(
            id=self.id, namespace=_namespace(self.namespace, self.nsid, "namespace")
        )


class CompositeXid(BaseModel):
    """An identity by its namespace, in code or number, and its value."""

    model_config = ConfigDict(extra="ignore")

    id: Id
    #: Spelled in both ways; of both, ``ns`` counts.
    ns: str | None = None
    namespace: str | None = None
    nsid: Annotated[Number, Field(strict=True)] | None = None

    @property
    def code(self) -> str | None:
        return self.namespace if self.ns is None else self.ns

    def asked(self) -> AskedIdentity:
        return AskedIdentity(
            id=self.id, namespace=_namespace(self.code, self.nsid, "composite_xid")
        )


CompositeXids = Annotated[
    tuple[CompositeXid, ...], BeforeValidator(_several), Field(max_length=MOST_IDENTITIES)
]


class Projection(StrEnum):
    SET = "set"
    GRAPH = "graph"


class GraphRequest(BaseModel):
    """The body of a graph look-up: identities by namespace and value, or by XID."""

    model_config = ConfigDict(extra="ignore")

    #: Spelled in both ways; whoever sends both means the identities of both.
    composite_xid: CompositeXids = ()
    composite_xids: CompositeXids = ()
    xids: Annotated[tuple[str, ...], BeforeValidator(_several)] = Field(
        (), max_length=MOST_IDENTITIES
    )
    projection_type: Projection = Projection.SET
    require_edge_meta_data: StrictBool = False
    graph_type: str = "pdg"

    def asked(self) -> tuple[AskedIdentity, ...]:
        """Whom it is about; refuses with InvalidField when nobody or in two ways at once."""
        if bool(self.identities) == bool(self.xids):
            raise InvalidField("composite_xid", "give identities either here or as xids")
        by_xid = tuple(AskedIdentity(id=xid) for xid in self.xids)
        return by_xid or tuple(one.asked() for one in self.identities)

    @property
    def identities(self) -> tuple[CompositeXid, ...]:
        return self.composite_xid + self.composite_xids

    @property
    def is_stitched(self) -> bool:
        if self.graph_type.lower() not in {"pdg", "none"}:
            raise InvalidField("graph_type", "is pdg or none")
        return self.graph_type.lower() == "pdg"


def identity(xid: Xid, namespace: Namespace, value: str) -> dict[str, Any]:
    """One identity and its XID."""
    return {"xid": xid, "compositeXid": {"nsid": namespace.id, "id": value}}


def graphs(found: Sequence[Cluster], asked: GraphRequest) -> dict[str, Any]:
    """What is linked with each identity, spelled in the way it was asked for."""
    shown = []
    for number, cluster in enumerate(found):
        spell = _speller(asked, number)
        own = _asked(asked, number)
        if asked.projection_type is Projection.SET:
            shown.append({**own, "members": [_inner(spell(one)) for one in cluster.members]})
        else:
            shown.append(
                {
                    **own,
                    "vertices": [spell(one) for one in cluster.members],
                    "edges": [_edge(one, asked, spell) for one in cluster.edges],
                }
            )
    return {
        "version": "2.0",
        "graphs": shown,
        "unprocessed_composite_xids": [],
        "algo_type": "STITCH_ALL",
    }


def _speller(asked: GraphRequest, number: int) -> Any:
    if asked.xids:
        return lambda member: {"xid": member.xid}
    by_number = asked.identities[number].code is None

    def spelt(member: Member) -> dict[str, Any]:
        named = {"nsid": member.namespace_id} if by_number else {"ns": member.namespace}
        return {"composite_xid": {**named, "id": member.value}}

    return spelt


def _asked(asked: GraphRequest, number: int) -> dict[str, Any]:
    if asked.xids:
        return {"xid": asked.xids[number]}
    one = asked.identities[number]
    named = {"ns": one.code} if one.code is not None else {"nsid": one.nsid}
    return {"composite_xid": {**named, "id": one.id}}


def _inner(spelt: Mapping[str, Any]) -> Any:
    (value,) = spelt.values()
    return value


def _edge(edge: Edge, asked: GraphRequest, spell: Any) -> dict[str, Any]:
    pair = [_inner(spell(end)) for end in edge.ends]
    shown: dict[str, Any] = {"xid_pair" if asked.xids else "composite_xid_pair": pair}
    if asked.require_edge_meta_data:
        shown |= {
            "first_established_ts": milliseconds(edge.first_at),
            "last_established_ts": milliseconds(edge.last_at),
            "dataset_ids": list(edge.dataset_ids),
            "batch_ids": list(edge.batch_ids),
        }
    return shown


def _namespace(code: str | None, number: int | None, where: str) -> str:
    if code:
        return code
    if number is None:
        raise InvalidField(where, "an identity has a namespace, by code or number (nsid)")
    return str(number)
