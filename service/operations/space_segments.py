"""What holds of the segments that spaces own: their policies unite identities.

Users of a space are people, not their identities one by one. A change of a segment, or of the
policy that it names or follows, is refused where that would no longer hold.
"""

from __future__ import annotations

from catalog.errors import Conflict
from catalog.export_jobs import BUILT_IN_POLICIES
from catalog.merge_policies import IdentityGraph
from catalog.organisations import Scope
from catalog.segments import SegmentDefinition
from catalog.store.database import Connection
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.placed_segments import PlacedSegmentStore
from catalog.store.segments import SegmentStore


async def unites_identities(db: Connection, segment: SegmentDefinition, scope: Scope) -> bool:
    """Say whether a segment's merge policy, as it is in the transaction, unites identities."""
    id = segment.merge_policy_id
    if id in BUILT_IN_POLICIES:
        rules = BUILT_IN_POLICIES[id]
    else:
        rules = (await MergePolicyStore(db).find(scope, id)).rules
    return rules.identity_graph is IdentityGraph.PRIVATE


async def check_spaces(db: Connection, scope: Scope) -> None:
    """Refuse with Conflict when a change has left a space with a segment that unites nothing.

    Whoever calls it has locked the sandbox's segments before the change.
    """
    ids = await PlacedSegmentStore(db).owned_by_spaces(scope)
    by_policy = {one.merge_policy_id: one for one in await SegmentStore(db).find_many(scope, ids)}
    for id, segment in sorted(by_policy.items()):
        if not await unites_identities(db, segment, scope):
            raise Conflict(
                f"segment {segment.key} belongs to a space and would be evaluated under merge "
                f"policy {id}, which unites no identities: its graph has to be "
                f"{IdentityGraph.PRIVATE}, or the segment has to be given to the project first"
            )
