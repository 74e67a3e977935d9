"""Our export with what the export before it saved, labelling and numbering, as all but the first
have them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from contender import Order, Taken, read_order, tell
from ours import export, labels_of, numbers_of
from ours_promotion import store_of

from catalog.store_files import StoreFileKind
from service.engine.orders import Fragments, HomeFile, SavedLabelling, SavedNumbering


def export_labelled(
    order: Order, files: list[Fragments] | None = None, homes: Sequence[HomeFile] = ()
) -> Taken:
    """Export with what was saved, of the store's files or of others, and with home files."""
    store = json.loads(store_of(order.workload).read_text())
    files = files or [Fragments.model_validate(file) for file in store["files"]]
    root = order.workload.folder.parent
    numbers = numbers_of(order.workload).relative_to(root)
    size_bytes: Counter[str] = Counter()
    for file in files:
        if file.kind is StoreFileKind.RECORDS:
            size_bytes[file.dataset_id] += file.size_bytes
    labelling = SavedLabelling(
        key=labels_of(order.workload).relative_to(root).as_posix(),
        commit=max(file.added for file in files),
        main_dataset_id=min(size_bytes, key=lambda id: (-size_bytes[id], id)),
    )
    numbering = SavedNumbering(
        key=numbers.as_posix(),
        merged_key=numbers.with_suffix(".merged").as_posix(),
        next_number=1,  # nothing asks for another, as every profile has one
        is_current=True,
    )
    return export(
        order,
        {
            "files": in_merge_order(files),
            "homes": tuple(homes),
            "labelling": labelling,
            "numbering": numbering,
        },
    )


def in_merge_order(files: list[Fragments]) -> tuple[Fragments, ...]:
    """Sort files as an order has them."""
    return tuple(sorted(files, key=lambda file: (file.ingest_number, file.key)))


if __name__ == "__main__":
    tell(export_labelled(read_order()))
