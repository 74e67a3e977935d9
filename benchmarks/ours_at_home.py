"""Our export after upkeep: with what the export before saved, of a store that was compacted by its
labelling, so that rows lie where their profiles are at home."""

from __future__ import annotations

import json

from contender import Order, Taken, read_order, tell
from ours import labels_of
from ours_compaction import compacted
from ours_labelled import export_labelled
from ours_promotion import store_of

from service.engine.orders import Fragments, HomeFile


def export_at_home(order: Order) -> Taken:
    files, homes = _kept(order)
    return export_labelled(order, files, homes)


def _kept(order: Order) -> tuple[list[Fragments], list[HomeFile]]:
    """Give the files that upkeep leaves, which it is done for once."""
    kept = store_of(order.workload).with_name("at-home.json")
    if not kept.exists():
        store = json.loads(store_of(order.workload).read_text())
        labels = labels_of(order.workload).relative_to(order.workload.folder.parent).as_posix()
        before = [Fragments.model_validate(file) for file in store["files"]]
        files, homes, taken = compacted(before, order, "at-home", labels)
        told = {"files": files, "homes": homes}
        document = {
            name: [each.model_dump(mode="json") for each in some] for name, some in told.items()
        }
        document["taken"] = [taken.seconds, taken.cpu_seconds, taken.peak_bytes]
        kept.write_text(json.dumps(document, indent=1))
    document = json.loads(kept.read_text())
    return (
        [Fragments.model_validate(file) for file in document["files"]],
        [HomeFile.model_validate(home) for home in document["homes"]],
    )


if __name__ == "__main__":
    tell(export_at_home(read_order()))
