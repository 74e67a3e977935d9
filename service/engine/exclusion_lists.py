"""Lists the profiles that carry only some of their events; and joins the lists of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.store_files import StoreFileKind
from service.engine.columns import column_in
from service.engine.kernel import ordered_with_text
from service.engine.labels import keys_of
from service.engine.maps import spelt
from service.engine.orders import GONE, ExportOrder, NewFile
from service.engine.plan import Plan
from service.engine.ranking import Ints, Keys, distinct, places, run_offsets, run_starts
from service.engine.slices import Rows
from service.engine.snapshot import Snapshot
from service.engine.store_files import KEY_HI, KEY_LO, SOURCE, StoreFile, prefixes
from service.storage.files import Files

TOO_MANY_EVENTS = "too_many_events"

_COLUMNS = (KEY_HI, KEY_LO, SOURCE, "namespace", "value")
_NAMESPACE = pa.dictionary(pa.int32(), pa.string())


@dataclass(slots=True)
class Shortened:
    """Profiles of one part that had more events than they may carry, in order."""

    event_counts: list[Ints] = field(default_factory=list)
    #: Primary identities of their rows, with the running number of the profile.
    owners: list[tuple[Keys, Ints]] = field(default_factory=list)
    count: int = 0

    def add(self, profiles: Keys, event_counts: Ints, mentions: Rows) -> None:
        """Take profiles of one slice, ascending, and the rows that name them."""
        number = places(mentions.profile, profiles)
        self.owners.append((mentions.key.at(number >= 0), number[number >= 0] + self.count))
        self.event_counts.append(event_counts)
        self.count += len(profiles)

    def write(self, snapshot: Snapshot, key: str, files: Files) -> None:
        """Store one row per profile: the reason, how many events it has, and who it is."""
        owners, first = _first_of_each(self.owners)
        named = list(_named(snapshot, files, owners))
        rows = pa.concat_tables(named).unify_dictionaries()
        profile = first[rows.column("owner").to_numpy()]
        namespace, spellings = spelt(rows.column("namespace"), snapshot.order.namespaces)
        value = rows.column("value").combine_chunks()
        order = ordered_with_text([profile, namespace], value.take)
        profile, namespace, value = profile[order], namespace[order], value.take(pa.array(order))
        once = run_starts(profile, namespace, value.dictionary_encode().indices.to_numpy())
        identities = pa.StructArray.from_arrays(
            [spellings.take(pa.array(namespace[once])), value.take(pa.array(once))],
            names=["namespace", "id"],
        )
        table = pa.table(
            {
                "reason": pa.array([TOO_MANY_EVENTS] * self.count),
                "identityCount": pa.array(np.bincount(profile[once], minlength=self.count)),
                "identities": pa.ListArray.from_arrays(
                    pa.array(run_offsets(profile[once], self.count), pa.int32()), identities
                ),
                "eventCount": pa.array(np.concatenate(self.event_counts)),
            }
        )
        _store(table, key, files)


def united(
    order: ExportOrder, plan: Plan, batch: int, keys: Sequence[str], files: Files
) -> NewFile | None:
    """Store what a batch lacks as one list: whole profiles first, then shortened ones."""
    lists = [*([plan.exclusions.key] if plan.exclusions else []), *keys]
    if not lists:
        return None
    tables = [pq.read_table(files.open(key)) for key in lists]
    table = pa.concat_tables(tables, promote_options="default")
    return _store(table, f"{order.folder}/exclusions-{batch:05d}.parquet", files)


def _store(table: pa.Table, key: str, files: Files) -> NewFile:
    with files.create(key) as sink:
        pq.write_table(table, pa.PythonFile(sink, mode="w"), compression="zstd", store_schema=False)
    written = sink.written()
    return NewFile(
        key=key, size_bytes=written.size_bytes, row_count=table.num_rows, sha256=written.sha256
    )


def _first_of_each(owners: Sequence[tuple[Keys, Ints]]) -> tuple[Keys, Ints]:
    """Give the distinct owners, and the profile of each: an owner is part of one alone."""
    keys, number = distinct(Keys.joined([each for each, _ in owners]))
    profile = np.empty(len(keys), np.int64)
    profile[number] = np.concatenate([each for _, each in owners])
    return keys, profile


def _named(snapshot: Snapshot, files: Files, owners: Keys) -> Iterator[pa.Table]:
    """Find whom the rows of some owners name, with the place of the owner."""
    for file_number in snapshot.numbers(StoreFileKind.IDENTITIES):
        file = StoreFile(files.open(snapshot.files[file_number].key))
        wanted = set(prefixes(owners.hi, file.layout.depth).tolist())
        for group, prefix in enumerate(file.layout.prefixes):
            if prefix not in wanted:
                continue
            rows = file.read_group(group, _COLUMNS)
            owner = places(keys_of(rows), owners)
            is_there = snapshot.sources(file_number, rows) != GONE
            found = np.flatnonzero((owner >= 0) & is_there)
            rows = rows.take(pa.array(found))
            columns = [column_in(rows, "namespace", _NAMESPACE), rows.column("value")]
            yield pa.table([*columns, pa.array(owner[found])], ["namespace", "value", "owner"])
