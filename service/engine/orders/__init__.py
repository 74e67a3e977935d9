"""What the engine is told and what it answers: the documents that pass between the processes.

Everything that could change a byte of the result stands in an order; the engine asks no clock
and no database. The models are frozen and travel as JSON.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from service.engine.orders.compactions import (
    Compacted,
    CompactedFile,
    CompactionOrder,
    Merger,
    NewCompactedFile,
    merger_of,
)
from service.engine.orders.exports import (
    Evaluation,
    EventChoice,
    ExportOrder,
    FinishedPart,
    Part,
    Planned,
    Rule,
    SegmentChoice,
    SegmentFilter,
    Selection,
)
from service.engine.orders.messages import (
    ENGINE_VERSION,
    Document,
    Done,
    Failed,
    NewFile,
    NewMetaFile,
    NewStoreFile,
    Order,
    Progress,
)
from service.engine.orders.promotions import (
    Identity,
    IdentityRules,
    Limits,
    Peeked,
    PeekOrder,
    Promoted,
    PromotionOrder,
    Reading,
    Reason,
    RowError,
    UploadedFile,
)
from service.engine.orders.segmentations import SegmentationOrder, Segmented
from service.engine.orders.snapshots import (
    GONE,
    Fragments,
    HomeFile,
    MembershipSet,
    NewLabelling,
    SavedLabelling,
    Source,
    memberships_of,
)
from service.engine.orders.tables import NewNumbering, SavedNumbering, Table, TableColumn

__all__ = [
    "ENGINE_VERSION",
    "GONE",
    "Answer",
    "AnyOrder",
    "Compacted",
    "CompactedFile",
    "CompactionOrder",
    "Document",
    "Done",
    "Evaluation",
    "EventChoice",
    "ExportOrder",
    "Failed",
    "FinishedPart",
    "Fragments",
    "HomeFile",
    "Identity",
    "IdentityRules",
    "Limits",
    "MembershipSet",
    "Merger",
    "NewCompactedFile",
    "NewFile",
    "NewLabelling",
    "NewMetaFile",
    "NewNumbering",
    "NewStoreFile",
    "Order",
    "Part",
    "PeekOrder",
    "Peeked",
    "Planned",
    "Progress",
    "Promoted",
    "PromotionOrder",
    "Reading",
    "Reason",
    "RowError",
    "Rule",
    "SavedLabelling",
    "SavedNumbering",
    "SegmentChoice",
    "SegmentFilter",
    "SegmentationOrder",
    "Segmented",
    "Selection",
    "Source",
    "Table",
    "TableColumn",
    "UploadedFile",
    "memberships_of",
    "merger_of",
]

Answer = Annotated[
    Promoted | Peeked | Compacted | Planned | Part | Segmented | Progress | Done | Failed,
    Field(discriminator="kind"),
]

#: What a child is told to do.
AnyOrder = PromotionOrder | ExportOrder | PeekOrder | CompactionOrder | SegmentationOrder
