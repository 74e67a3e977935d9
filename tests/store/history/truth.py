"""What a store would say that had every batch in a file of its own, and what one does say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from catalog.store_files import StoreFile
from tests.store.history.engine import Disk, Row

#: Data set, kind and item of a row: of those that agree in it the latest batch's counts.
Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """A batch that was ingested."""

    id: str
    dataset_id: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a snapshot has, whatever a reader makes of it."""

    #: By data set, kind and batch, in how many files it counts.
    files: Counter[Place]
    #: By place, the batches that have it.
    rows: dict[Place, set[str]]


def seen(files: Iterable[StoreFile], disk: Disk) -> Seen:
    """Read the files of a snapshot."""
    found = Seen(files=Counter(), rows={})
    for file in files:
        batch_ids = [source.batch_id for source in file.sources]
        for batch_id in [file.batch_id] if file.batch_id is not None else batch_ids:
            found.files[file.dataset_id, file.kind, batch_id] += 1
        for row in disk.counting(file):
            place = (file.dataset_id, file.kind, row.item)
            found.rows.setdefault(place, set()).add(row.batch_id)
    return found


@dataclass(slots=True)
class Truth:
    """Every batch that ever was, and which of them were active from which commit on."""

    batches: dict[str, Told] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    _changes: list[tuple[int, frozenset[str]]] = field(default_factory=list)

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
            order = {id: number for number, id in enumerate(self.batches)}
            read = {place: max(ids, key=order.__getitem__) for place, ids in found.rows.items()}
            assert read == self._latest(active), f"snapshot {commit} is not what was ingested"

    def _latest(self, active: frozenset[str]) -> dict[Place, str]:
        """By place, the latest of some batches that has it."""
        return {
            (batch.dataset_id, row.kind, row.item): batch.id
            for batch in self.batches.values()
            if batch.id in active
            for row in batch.rows
        }
