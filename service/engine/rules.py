"""The rules of an order: read once, with the leaves that must be read to decide them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from catalog.pql.nodes import PROFILE, Events, Member, Node
from catalog.pql.reading import read
from catalog.pql.walking import children, everything
from catalog.schemas import IDENTITY_MAP, Field, Path
from catalog.unions import Union
from service.engine.orders.exports import ExportOrder
from service.engine.projection import leaves_by_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What segments are evaluated by; none of an order that evaluates nothing."""

    #: In the order's order.
    nodes: tuple[Node, ...] = ()
    segment_ids: tuple[str, ...] = ()
    fields: Union = field(default_factory=lambda: Union(profile_fields=(), event_fields=()))
    #: By dotted path: all that the rules mention, and maybe more.
    record_leaves: Mapping[str, Field] = field(default_factory=dict)
    event_leaves: Mapping[str, Field] = field(default_factory=dict)
    need_events: bool = False
    need_identities: bool = False

    @classmethod
    def of(cls, order: ExportOrder) -> Rules:
        """Read the rules of an order. They were checked against the union before."""
        if order.evaluation is None:
            return cls()
        nodes = tuple(read(rule.text) for rule in order.evaluation.rules)
        of_profile, of_others = _mentioned(nodes)
        profile_leaves = _at(of_profile, leaves_by_path(order.profile_fields))
        return cls(
            nodes=nodes,
            segment_ids=tuple(rule.segment_id for rule in order.evaluation.rules),
            fields=Union(
                profile_fields=tuple(map(Field.from_json, order.profile_fields)),
                event_fields=tuple(map(Field.from_json, order.event_fields)),
            ),
            record_leaves={
                path: leaf for path, leaf in profile_leaves.items() if path != IDENTITY_MAP.name
            },
            event_leaves=_at(of_others, leaves_by_path(order.event_fields)),
            need_events=any(isinstance(each, Events) for n in nodes for each in everything(n)),
            need_identities=any(path[0] == IDENTITY_MAP.name for path in of_profile),
        )


def _mentioned(nodes: Iterable[Node]) -> tuple[set[Path], set[Path]]:
    """Give the paths that rules follow from the profile, and from anything else, to their ends."""
    of_profile: set[Path] = set()
    of_others: set[Path] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        names: list[str] = []
        while isinstance(node, Member):
            names.insert(0, node.name)
            node = node.of
        if names:
            (of_profile if node == PROFILE else of_others).add(tuple(names))
        waiting += children(node)
    return of_profile, of_others


def _at(paths: set[Path], leaves: Mapping[str, Field]) -> dict[str, Field]:
    """Keep the leaves at, above and beneath some paths."""
    return {
        name: leaf
        for name, leaf in leaves.items()
        if any(_is_within(tuple(name.split(".")), path) for path in paths)
    }


def _is_within(leaf: Path, path: Path) -> bool:
    shorter = min(len(leaf), len(path))
    return leaf[:shorter] == path[:shorter]
