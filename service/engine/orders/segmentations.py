"""Orders to find out who belongs to segments."""

from __future__ import annotations

from typing import Literal

from service.engine.orders.exports import ExportOrder
from service.engine.orders.messages import NewFile, Order


class SegmentationOrder(Order):
    """Evaluate segments under one merge policy and write who belongs to which."""

    kind: Literal["segmentation"] = "segmentation"
    #: What an export of the same snapshot under the same policy would be told, without rows and
    #: with the segments to evaluate.
    export: ExportOrder
    #: The deployment's secret for identity keys (32 bytes).
    secret: bytes

    @property
    def threads(self) -> int:
        return self.export.threads


class Segmented(NewFile):
    """What one task found out: a file of memberships, rows or not."""

    kind: Literal["segmented"] = "segmented"
    #: Of the task.
    number: int
    #: How many profiles were looked at.
    profile_count: int
    #: By the place of the rule in the order, how many profiles entered, stayed and left.
    entered: tuple[int, ...]
    stayed: tuple[int, ...]
    left: tuple[int, ...]
    #: By namespace as registered, likewise: how many members have an identity of it.
    by_namespace: dict[str, tuple[int, ...]]
