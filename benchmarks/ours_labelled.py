"""Our export with what the export before it saved, labelling and numbering, as all but the first
have them."""

from __future__ import annotations

import json

from contender import Order, Taken, read_order, tell
from ours import export, labels_of, numbers_of
from ours_promotion import store_of

from service.engine.orders import SavedLabelling, SavedNumbering


def export_labelled(order: Order) -> Taken:
    files = json.loads(store_of(order.workload).read_text())["files"]
    root = order.workload.folder.parent
    numbers = numbers_of(order.workload).relative_to(root)
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
        SavedNumbering(
            key=numbers.as_posix(),
            merged_key=numbers.with_suffix(".merged").as_posix(),
            next_number=1,  # nothing asks for another, as every profile has one
            is_current=True,
        ),
    )


if __name__ == "__main__":
    tell(export_labelled(read_order()))
