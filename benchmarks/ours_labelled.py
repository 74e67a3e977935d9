"""Our export with the labelling that the export before it saved, as all but the first have."""

from __future__ import annotations

import json

from contender import Order, Taken, read_order, tell
from ours import export, labels_of
from ours_promotion import store_of

from service.engine.orders import SavedLabelling


def export_labelled(order: Order) -> Taken:
    files = json.loads(store_of(order.workload).read_text())["files"]
    root = order.workload.folder.parent
    records = [file for file in files if file["kind"] == "records"]
    size_bytes: dict[str, int] = {}
    for file in records:
        size_bytes[file["dataset_id"]] = size_bytes.get(file["dataset_id"], 0) + file["size_bytes"]
    return export(
        order,
        SavedLabelling(
            key=labels_of(order.workload).relative_to(root).as_posix(),
            commit=max(file["added"] for file in files),
            main_dataset_id=min(size_bytes, key=lambda id: (-size_bytes[id], id)),
        ),
    )


if __name__ == "__main__":
    tell(export_labelled(read_order()))
