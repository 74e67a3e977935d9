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
    merger_of,
)
from service.engine.orders.exports import (
    EventChoice,
    ExportOrder,
    FinishedPart,
    Part,
    Planned,
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
from service.engine.orders.snapshots import GONE, Fragments, NewLabelling, SavedLabelling, Source

__all__ = [
    "ENGINE_VERSION",
    "GONE",
    "Answer",
    "Compacted",
    "CompactedFile",
    "CompactionOrder",
    "Document",
    "Done",
    "EventChoice",
    "ExportOrder",
    "Failed",
    "FinishedPart",
    "Fragments",
    "Identity",
    "IdentityRules",
    "Limits",
    "Merger",
    "NewFile",
    "NewLabelling",
    "NewMetaFile",
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
    "SavedLabelling",
    "SegmentChoice",
    "SegmentFilter",
    "Selection",
    "Source",
    "UploadedFile",
    "merger_of",
]

Answer = Annotated[
    Promoted | Peeked | Compacted | Planned | Part | Progress | Done | Failed,
    Field(discriminator="kind"),
]
