"""What the engine is told of the files it reads: one snapshot of the profile store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydantic import Field

from catalog import home_files, memberships
from catalog.labellings import Labelling
from catalog.store_files import StoreFile, StoreFileKind
from service.engine.orders.messages import NewFile, Order

#: The source of rows whose batch was taken back: they are not of the snapshot.
GONE = -1


class Source(Order):
    """What one batch has in a store file that was compacted."""

    #: In the file.
    number: int
    ingest_number: int
    ingested_at: datetime
    is_upsert: bool


class Fragments(Order):
    """One store file of the snapshot."""

    dataset_id: str
    kind: StoreFileKind
    key: str
    size_bytes: int
    row_count: int
    ingest_number: int
    ingested_at: datetime
    is_upsert: bool
    #: Commit number at which it joined the profile store.
    added: int
    #: Of a file that was compacted: the batches whose rows are of the snapshot. Rows of others
    #: are not, and what is said of the whole file above holds for none of its batches.
    sources: tuple[Source, ...] = ()
    #: How many batches its rows are numbered by, those among them that are gone.
    source_count: int = 1

    @property
    def all_sources(self) -> tuple[Source, ...]:
        """Its sources; a file that was not compacted is one."""
        return self.sources or (
            Source(
                number=0,
                ingest_number=self.ingest_number,
                ingested_at=self.ingested_at,
                is_upsert=self.is_upsert,
            ),
        )

    @property
    def newest_at(self) -> datetime:
        """When the last of its rows was ingested."""
        return max(source.ingested_at for source in self.all_sources)

    @classmethod
    def of(cls, file: StoreFile) -> Fragments:
        return cls(
            dataset_id=file.dataset_id,
            kind=file.kind,
            key=file.key,
            size_bytes=file.size_bytes,
            row_count=file.row_count,
            ingest_number=file.ingest_number,
            ingested_at=file.ingested_at,
            is_upsert=file.is_upsert,
            added=file.added,
            sources=tuple(
                Source(
                    number=source.number,
                    ingest_number=source.ingest_number,
                    ingested_at=source.ingested_at,
                    is_upsert=source.is_upsert,
                )
                for source in file.sources
            ),
            source_count=file.source_count,
        )


class MembershipSet(Order):
    """What one segment job found out, as far as it counts in the snapshot."""

    #: What its files call their data set.
    id: str
    #: Segments by the numbers that its files have for them; rows of others are passed over.
    segment_ids: dict[int, str]
    #: By the same numbers, how many days after its time a membership is over; of others, never.
    ttl_days: dict[int, int] = Field(default_factory=dict)
    #: How many numbers there are.
    segment_count: int


def memberships_of(
    sets: Iterable[memberships.MembershipSet],
) -> tuple[tuple[Fragments, ...], tuple[MembershipSet, ...]]:
    """Say what the engine is told of membership sets: their files, and what those hold."""
    files, told = [], []
    for one in sets:
        id = f"memberships {one.id}"
        told.append(
            MembershipSet(
                id=id,
                segment_ids=dict(one.segment_ids),
                ttl_days=dict(one.ttl_days),
                segment_count=one.segment_count,
            )
        )
        files += [
            Fragments(
                dataset_id=id,
                kind=StoreFileKind.MEMBERSHIPS,
                key=file.key,
                size_bytes=file.size_bytes,
                row_count=file.row_count,
                ingest_number=one.id,
                ingested_at=one.evaluated_at,
                is_upsert=False,
                added=one.added,
            )
            for file in one.files
        ]
    return tuple(files), tuple(told)


class SavedLabelling(Order):
    """A labelling that is valid for the snapshot: no link that it was made from has gone since."""

    key: str
    #: It knows the files that were added by this commit number.
    commit: int
    #: The record data set whose keys represent profiles in it; null when there was none.
    main_dataset_id: str | None

    @classmethod
    def of(cls, labelling: Labelling | None) -> SavedLabelling | None:
        if labelling is None:
            return None
        return cls(
            key=labelling.key,
            commit=labelling.commit,
            main_dataset_id=labelling.main_dataset_id,
        )


class HomeFile(Order):
    """A file that repeats rows of a store file where their profiles are at home."""

    #: Key of the store file.
    store_file: str
    key: str
    #: Key of the labelling that says where profiles were at home when it was written.
    labelling: str

    @classmethod
    def of(cls, file: home_files.HomeFile) -> HomeFile:
        return cls(store_file=file.store_file_key, key=file.key, labelling=file.labelling_key)


class NewLabelling(NewFile):
    """The labelling of the order's snapshot, for later orders to start from."""

    main_dataset_id: str | None
