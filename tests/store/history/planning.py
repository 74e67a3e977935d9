"""What the engine works out before it merges: who is who, and which numbers they have.

Items that share a letter are who is linked with whom, and all that is numbered.
"""

from __future__ import annotations

from catalog.store_files import StoreFileKind
from service.engine.orders import (
    ENGINE_VERSION,
    ExportOrder,
    Fragments,
    NewLabelling,
    NewNumbering,
    Planned,
)
from tests.store.history.disk import Disk, Labels, Numbers, Plan

#: A labelling knows so many identities for each link, so that few new ones are no hindrance.
IDENTITIES_PER_LINK = 100


def plan(order: ExportOrder, folder: str, disk: Disk) -> Planned:
    """Write the plan of an export below a folder, with what it goes by."""
    labels, labelling = _labelled(order, f"{folder}/labels", disk)
    numbers, numbering = _numbered(order, f"{folder}/numbers", disk)
    homes = {key for home in order.homes for key in (home.key, home.labelling)}
    reads = {file.key for file in order.files} | homes | ({labels, numbers} - {None})
    written = disk.keep(f"{folder}/plan", Plan(labels, numbers, frozenset(filter(None, reads))))
    return Planned(
        key=written.key,
        engine_version=ENGINE_VERSION,
        task_count=1,
        labelling=labelling,
        numbering=numbering,
        numbers=numbers,
    )


def _labelled(order: ExportOrder, key: str, disk: Disk) -> tuple[str | None, NewLabelling | None]:
    """The key of the labelling that says who is who, and what is to be saved of it if it is new."""
    saved, main = order.labelling, _main(order)
    known = Labels(frozenset(), frozenset(), None) if saved is None else disk.labels(saved.key)
    commit = -1 if saved is None else saved.commit
    is_main_known = saved is not None and known.main_dataset_id == main
    links = [file for file in order.files if file.kind is StoreFileKind.LINKS]
    records = [file for file in order.files if file.kind is StoreFileKind.RECORDS]
    newer = [file for file in links if file.added > commit]
    mains = [
        file
        for file in records
        if file.dataset_id == main and not (is_main_known and file.added <= commit)
    ]
    if saved is not None and is_main_known and not newer and not mains:
        return saved.key, None
    if saved is None and not any(file.row_count for file in newer):
        return None, None
    made = Labels(
        links=known.links
        | {(row.batch_id, row.item) for file in newer for row in disk.counting(file)},
        owners=(known.owners if is_main_known else frozenset())
        | {row.item for file in mains for row in disk.counting(file)},
        main_dataset_id=main,
    )
    file = disk.keep(key, made, row_count=IDENTITIES_PER_LINK * len(made.links))
    return key, NewLabelling(**file.model_dump(), main_dataset_id=main)


def _main(order: ExportOrder) -> str | None:
    """The data set whose identities represent profiles."""
    records: list[Fragments] = [file for file in order.files if file.kind is StoreFileKind.RECORDS]
    return min((file.dataset_id for file in records), default=None)


def _numbered(order: ExportOrder, key: str, disk: Disk) -> tuple[str | None, NewNumbering | None]:
    """The key of the numbering that is shown, and what is to be saved of it if it is new."""
    saved, is_shown = order.numbering, order.table is not None
    if saved is not None and saved.is_current:
        return (saved.key if is_shown else None), None
    if saved is not None and saved.is_newer and not is_shown:
        return None, None
    given = dict({} if saved is None else disk.numbers(saved.key).given)
    next_number = 1 if saved is None else saved.next_number
    present = {
        row.item
        for file in order.files
        if file.kind is StoreFileKind.IDENTITIES
        for row in disk.counting(file)
    }
    for item in sorted(present - given.keys()):
        given[item], next_number = next_number, next_number + 1
    file = disk.keep(key, Numbers(given))
    merged = disk.keep(f"{key}.merged", Numbers({}))
    made = NewNumbering(
        **file.model_dump(),
        merged_key=merged.key,
        merged_count=0,
        next_number=next_number,
        base_key=None if saved is None else saved.key,
    )
    return (key if is_shown else None), made
