"""Lists the profiles that an export leaves out, so that somebody can find out why."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.store_files import StoreFileKind
from service.engine.columns import column_in
from service.engine.kernel import ordered_with_text
from service.engine.labels import Excluded, keys_of
from service.engine.maps import spelt
from service.engine.orders import GONE
from service.engine.ranking import Keys, places, run_offsets
from service.engine.snapshot import Snapshot
from service.engine.store_files import SOURCE, StoreFile
from service.storage.files import Files, Written

TOO_MANY_IDENTITIES = "too_many_identities"

_COLUMNS = ("id_hi", "id_lo", "namespace", "value", SOURCE)
_NAMESPACE = pa.dictionary(pa.int32(), pa.string())
#: Identities with their place among the excluded ones; here, none.
_NOBODY = pa.schema(
    [("namespace", _NAMESPACE), ("value", pa.string()), ("place", pa.int64())]
).empty_table()


def write_exclusions(excluded: Excluded, snapshot: Snapshot, key: str, files: Files) -> Written:
    """Store one row per excluded profile: the reason, and all identities that were seen of it."""
    mentions = pa.concat_tables([_NOBODY, *_mentions(snapshot, files, excluded.identity)])
    mentions = mentions.unify_dictionaries()
    namespace, spellings = spelt(mentions.column("namespace"), snapshot.order.namespaces)
    value = mentions.column("value").combine_chunks()
    profile = excluded.profile[mentions.column("place").to_numpy()]
    order = ordered_with_text([profile, namespace], value.take)
    identities = pa.StructArray.from_arrays(
        [spellings.take(pa.array(namespace[order])), value.take(pa.array(order))],
        names=["namespace", "id"],
    )
    offsets = pa.array(run_offsets(profile[order], excluded.profile_count), pa.int32())
    table = pa.table(
        {
            "reason": pa.array([TOO_MANY_IDENTITIES] * excluded.profile_count),
            "identityCount": pa.array(np.bincount(excluded.profile)),
            "identities": pa.ListArray.from_arrays(offsets, identities),
        }
    )
    with files.create(key) as sink:
        pq.write_table(table, pa.PythonFile(sink, mode="w"), compression="zstd", store_schema=False)
    return sink.written()


def _mentions(snapshot: Snapshot, files: Files, excluded: Keys) -> Iterator[pa.Table]:
    """Find namespace and value of each excluded identity, wherever it is named first."""
    is_named = np.zeros(len(excluded), np.bool_)
    for number in snapshot.all(StoreFileKind.IDENTITIES):
        file = StoreFile(files.open(snapshot.files[number].key))
        for group in range(len(file.layout.prefixes)):
            rows = file.read_group(group, _COLUMNS)
            is_there = snapshot.sources(number, rows) != GONE
            rows = rows if is_there.all() else rows.filter(pa.array(is_there))
            place = places(keys_of(rows, "id_hi", "id_lo"), excluded)
            found, first = np.unique(place, return_index=True)
            first = first[(found >= 0) & ~is_named[found]]
            is_named[place[first]] = True
            named = rows.take(pa.array(first))
            columns = [column_in(named, "namespace", _NAMESPACE), named.column("value")]
            yield pa.table([*columns, pa.array(place[first])], schema=_NOBODY.schema)
