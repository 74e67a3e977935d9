"""The compaction that workers do in the background: few large store files instead of many."""

from __future__ import annotations

import json
from uuid import UUID

import engine_child
from contender import Order, Taken, read_order, tell
from ours_promotion import SECRET, store_of

from catalog.compaction import CompactionPolicy, due, homeless
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store_files import LiveFile, StoreFileId, StoreFileKind
from service.engine.orders import (
    Compacted,
    CompactionOrder,
    Fragments,
    HomeFile,
    NewStoreFile,
    merger_of,
)
from service.settings import CompactionSettings

_SCOPE = Scope(
    organisation_id=OrganisationId("bench"), sandbox_id=SandboxId(UUID(int=0)), sandbox_name="prod"
)


def compact(order: Order) -> Taken:
    """Compact the store of a workload until nothing is due, as the defaults have it."""
    document = store_of(order.workload)
    store = json.loads(document.read_text())
    files = [Fragments.model_validate(file) for file in store["files"]]
    made, _, taken = compacted(files, order, "compacted")
    store["files"] = [file.model_dump(mode="json") for file in made]
    document.write_text(json.dumps(store, indent=1))
    return taken


def compacted(
    files: list[Fragments], order: Order, name: str, labelling: str | None = None
) -> tuple[list[Fragments], list[HomeFile], Taken]:
    """Compact files below a folder of some name; by a labelling, give them home files too."""
    settings = CompactionSettings()
    policy = CompactionPolicy(
        least_files=settings.files,
        most_bytes=settings.size_bytes,
        home_from_bytes=settings.home_from_bytes,
    )
    count_before, seconds, cpu_seconds, peak_bytes, rounds = len(files), 0.0, 0.0, 0, 0
    homes: dict[str, HomeFile] = {}
    while True:
        groups = _due(files, policy)
        alone = [] if labelling is None else _homeless(files, groups, homes, policy)
        if not groups and not alone:
            break
        rounds += 1
        prepared = [merger_of(group) for group in groups]
        ran = engine_child.run(
            CompactionOrder(
                folder=f"{order.workload.folder.name}/store/{name}-{rounds}",
                mergers=tuple(merger for merger, _ in prepared),
                labelling=labelling,
                home_from_bytes=policy.home_from_bytes,
                homeless=tuple(file.key for file in alone),
                secret=SECRET,
            ),
            order.workload.folder.parent,
        )
        seconds += ran.seconds
        cpu_seconds += ran.cpu_seconds
        peak_bytes = max(peak_bytes, ran.peak_bytes)
        answer = ran.answers[-1][1]
        assert isinstance(answer, Compacted)
        told = [(file.key, home) for file, home in zip(alone, answer.homes, strict=True)]
        told += [(file.key, file.home) for file in answer.files if file.home is not None]
        for key, home in told:
            homes[key] = HomeFile(store_file=key, key=home.key, labelling=labelling or "")
        added = max(file.added for file in files) + 1
        for group, (_, sources), made in zip(groups, prepared, answer.files, strict=True):
            files = [file for file in files if file not in group]
            files.append(
                _fragments(group, made, added).model_copy(
                    update={"sources": sources, "source_count": len(sources)}
                )
            )
    taken = Taken(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        peak_bytes=peak_bytes,
        details={"files_before": count_before, "files": len(files), "rounds": rounds},
    )
    return files, list(homes.values()), taken


def _due(files: list[Fragments], policy: CompactionPolicy) -> list[list[Fragments]]:
    return [[files[one.id] for one in group] for group in due(_live(files), policy)]


def _homeless(
    files: list[Fragments],
    groups: list[list[Fragments]],
    homes: dict[str, HomeFile],
    policy: CompactionPolicy,
) -> list[Fragments]:
    grouped = [file for group in groups for file in group]
    left = [file for file in files if file not in grouped and file.key not in homes]
    return [left[one.id] for one in homeless(_live(left), (), policy)]


def _live(files: list[Fragments]) -> list[LiveFile]:
    return [
        LiveFile(
            id=StoreFileId(number),
            scope=_SCOPE,
            dataset_id=file.dataset_id,
            kind=file.kind,
            size_bytes=file.size_bytes,
            is_to_be_rid=False,
            is_homeless=file.kind is not StoreFileKind.LINKS,
        )
        for number, file in enumerate(files)
    ]


def _fragments(group: list[Fragments], made: NewStoreFile, added: int) -> Fragments:
    return Fragments(
        dataset_id=group[0].dataset_id,
        kind=made.kind,
        key=made.key,
        size_bytes=made.size_bytes,
        row_count=made.row_count,
        ingest_number=min(file.ingest_number for file in group),
        ingested_at=max(file.ingested_at for file in group),
        is_upsert=False,
        added=added,
    )


if __name__ == "__main__":
    tell(compact(read_order()))
