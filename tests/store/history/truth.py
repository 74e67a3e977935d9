"""What a store would say that had every batch in a file of its own, and what one does say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from catalog.store_files import StoreFile, StoreFileKind
from service.engine.orders import Fragments
from tests.store.history.disk import Disk, Labels, Numbers
from tests.store.history.rows import Place, Row, say


@dataclass(frozen=True, slots=True)
class Told:
    """A batch that was ingested."""

    id: str
    dataset_id: str
    rows: tuple[Row, ...]
    is_upsert: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a snapshot has, as the engine is told to read it."""

    #: By data set, kind and batch, in how many files it counts.
    files: Counter[tuple[str, str, str]]
    #: By place, the batch that said it last.
    said: dict[Place, str]


def seen(files: Iterable[StoreFile], disk: Disk) -> Seen:
    """Read the files of a snapshot."""
    counts: Counter[tuple[str, str, str]] = Counter()
    told: list[tuple[int, bool, str, Row]] = []
    for file in files:
        batch_ids = {source.number: source.batch_id for source in file.sources}
        if file.batch_id is not None:
            batch_ids = {0: file.batch_id}
        counts.update((file.dataset_id, file.kind, batch_id) for batch_id in batch_ids.values())
        fragments = Fragments.of(file)
        sources = {source.number: source for source in fragments.all_sources}
        for row in disk.counting(fragments):
            assert batch_ids.get(row.number) == row.batch_id, "rows are told to be another batch's"
            source = sources[row.number]
            told.append((source.ingest_number, source.is_upsert, file.dataset_id, row))
    said: dict[Place, str] = {}
    for _, is_upsert, dataset_id, row in sorted(told, key=lambda each: each[0]):
        say(said, dataset_id, row, is_patch=is_upsert)
    return Seen(files=counts, said=said)


@dataclass(slots=True)
class Truth:
    """Every batch that ever was in a sandbox, and which were active from which commit on."""

    batches: dict[str, Told] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    _changes: list[tuple[int, frozenset[str]]] = field(default_factory=list)
    #: The items that numbers were shown for.
    _numbered: dict[int, str] = field(default_factory=dict)

    def note(self, commit: int, *, came: Collection[str] = (), gone: Collection[str] = ()) -> None:
        """Keep what a commit changed."""
        self._changes.append((commit, (self.at(commit) | {*came}) - {*gone}))

    def at(self, commit: int) -> frozenset[str]:
        """The batches that are active in a snapshot."""
        return next((ids for at, ids in reversed(self._changes) if at <= commit), frozenset())

    def active(self) -> list[str]:
        """The batches that are active now, the latest first."""
        now = self._changes[-1][1] if self._changes else frozenset()
        return [id for id in reversed(self.batches) if id in now]

    def erasable(self) -> list[str]:
        """The batches that were not deleted, the latest first."""
        return [id for id in reversed(self.batches) if id not in self.deleted]

    def compare(self, commit: int, found: Seen, *, is_whole: bool) -> None:
        """Hold against what was ingested what was read of a snapshot.

        If it need not be whole it may lack rows, and still have none that are wrong.
        """
        active = self.at(commit)
        doubled = {place: count for place, count in found.files.items() if count > 1}
        assert not doubled, f"snapshot {commit} has batches twice: {doubled}"
        strangers = {batch_id for _, _, batch_id in found.files} - active
        assert not strangers, f"snapshot {commit} has {strangers}, which are not active there"
        if is_whole:
            assert found.said == self._said(commit), f"snapshot {commit} is not what was ingested"

    def compare_labels(self, commit: int, labels: Labels) -> None:
        """Hold a labelling against what was ingested by the commit that it is said to be of."""
        links = {(row.batch_id, row.item) for row in self._rows(commit, StoreFileKind.LINKS)}
        assert labels.links == links, f"the labelling of {commit} knows other links"
        owners = {
            row.item
            for row in self._rows(commit, StoreFileKind.RECORDS, dataset_id=labels.main_dataset_id)
        }
        assert labels.owners == owners, f"the labelling of {commit} knows other records"

    def compare_numbers(self, commit: int, numbers: Numbers) -> None:
        """Hold numbers against the items of a snapshot, and against all that were shown before."""
        items = {row.item for row in self._rows(commit, StoreFileKind.IDENTITIES)}
        assert items <= numbers.given.keys(), f"items of snapshot {commit} have no number"
        for item, number in numbers.given.items():
            known = self._numbered.setdefault(number, item)
            assert known == item, f"{known} and {item} have the number {number}"
        by_item = Counter(self._numbered.values())
        assert all(count == 1 for count in by_item.values()), f"numbers changed: {by_item}"

    def _said(self, commit: int) -> dict[Place, str]:
        """By place, the latest of a snapshot's batches that says something there."""
        said: dict[Place, str] = {}
        active = self.at(commit)
        for batch in self.batches.values():
            for row in batch.rows if batch.id in active else ():
                say(said, batch.dataset_id, row, is_patch=batch.is_upsert)
        return said

    def _rows(
        self, commit: int, kind: StoreFileKind, *, dataset_id: str | None = ""
    ) -> Iterable[Row]:
        """The rows of one kind that were ingested by a commit, of all data sets or of one."""
        return (
            row
            for id in self.at(commit)
            for row in self.batches[id].rows
            if row.kind is kind and dataset_id in ("", self.batches[id].dataset_id)
        )
