"""Derives labellings: from all links of a snapshot, or from an earlier labelling and newer links.

Both ways give the same file. An earlier labelling counts as links between its identities and
their representatives; what its profiles are made of is thereby said in full, as long as none of
the links it was made from has gone since. Links that do not fit into memory together are divided
on disk; see :mod:`~service.engine.link_ends`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.identity import Components, Profiles
from service.engine.labels import (
    IDENTITY_COUNT,
    IS_MAIN,
    PROFILE_HI,
    PROFILE_LO,
    ROW_BYTES,
    SCHEMA,
    key_groups,
    keys_of,
)
from service.engine.lanes import in_order
from service.engine.link_ends import LinkEnds, Links, NumberedEnds, depth_within
from service.engine.orders import NewLabelling
from service.engine.ranking import Bools, Finder, Keys, places
from service.engine.snapshot import Snapshot
from service.engine.store_files import (
    KEY_HI,
    KEY_LO,
    SOURCE,
    StoreFile,
    StoreFileWriter,
    depth_for,
    prefixes,
)
from service.storage.files import Files

_LINK = (KEY_HI, KEY_LO, "other_hi", "other_lo", SOURCE)
_LABEL = (KEY_HI, KEY_LO, PROFILE_HI, PROFILE_LO)

#: Says which rows are there; None when all are.
_Presence = Callable[[pa.Table], Bools | None]


class Labeller:
    """Labels one snapshot, starting from the labelling that its order names, if any."""

    def __init__(self, snapshot: Snapshot, files: Files) -> None:
        self._snapshot, self._files = snapshot, files
        self._budget_bytes = snapshot.order.labelling_size_bytes
        self._main_dataset_id = snapshot.main_dataset_id
        saved = snapshot.order.labelling
        self._saved = saved if saved is not None and files.exists(saved.key) else None
        known_at = -1 if self._saved is None else self._saved.commit
        links = snapshot.all(StoreFileKind.LINKS)
        self._links = [n for n in links if snapshot.files[n].added > known_at]
        self._is_main_known = (
            self._saved is not None and self._saved.main_dataset_id == self._main_dataset_id
        )
        main = [snapshot.files[n] for n in snapshot.main_dataset_files()]
        self._main = [one for one in main if not self._is_main_known or one.added > known_at]
        self._known_main = [one for one in main if one not in self._main]

    @property
    def saved_key(self) -> str | None:
        """The key of the saved labelling when it says all there is to say already."""
        is_whole = self._is_main_known and not self._links and not self._main
        return self._saved.key if self._saved is not None and is_whole else None

    @property
    def is_needed(self) -> bool:
        """Whether any two identities of the snapshot may be linked."""
        return self._saved is not None or any(
            self._snapshot.files[n].row_count for n in self._links
        )

    def write(self, key: str) -> NewLabelling:
        """Derive the labelling of the snapshot and store it under a key."""
        threads = self._snapshot.order.threads
        with (
            self._files.scratch(key.rpartition("/")[0]) as scratch,
            ThreadPoolExecutor(threads) as pool,
        ):
            depth = depth_within(self._end_count(), self._budget_bytes // threads)
            ends = LinkEnds(scratch, depth, pool, threads)
            ends.take(self._known_links)
            numbered = ends.numbered()
            components = Components(numbered.identity_count)
            for here, there in numbered.portions():
                components.join(here, there)
            is_main = self._marked(numbered, depth, pool)
            profiles = components.profiles(is_main)
            del components
            file_depth = max(depth, depth_for(numbered.identity_count * ROW_BYTES))
            with (
                self._files.create(key) as sink,
                StoreFileWriter(sink, SCHEMA, depth=file_depth, secret=None) as writer,
            ):

                def rows_of(bucket: int) -> pa.Table:
                    return _rows(numbered, bucket, profiles, is_main)

                for rows in in_order(pool, rows_of, range(1 << depth), threads - 1):
                    writer.write_sorted(rows)
            row_count = numbered.identity_count
        written = sink.written()
        return NewLabelling(
            key=written.key,
            size_bytes=written.size_bytes,
            row_count=row_count,
            sha256=written.sha256,
            main_dataset_id=self._main_dataset_id,
        )

    def _known_links(self) -> list[Links]:
        """Open whatever tells links, for one thread."""
        links: list[Links] = []
        if self._saved is not None:
            saved = StoreFile(self._files.open(self._saved.key))
            links.append(_FileLinks(saved, _LABEL, lambda _: None))
        for number in self._links:
            file = StoreFile(self._files.open(self._snapshot.files[number].key))
            links.append(_FileLinks(file, _LINK, partial(self._snapshot.present, number)))
        return links

    def _end_count(self) -> int:
        count = sum(self._snapshot.files[n].row_count for n in self._links)
        if self._saved is not None:
            saved = StoreFile(self._files.open(self._saved.key))
            count += sum(group.row_count for group in saved.groups((KEY_HI,)))
        return 2 * count

    def _marked(self, numbered: NumberedEnds, depth: int, pool: ThreadPoolExecutor) -> Bools:
        """Mark the identities that are keys of the main data set's records."""
        is_main = np.zeros(numbered.identity_count, np.bool_)
        threads = min(self._snapshot.order.threads, 1 << depth)
        bounds = [(n << depth) // threads for n in range(threads + 1)]
        shares = [range(*within) for within in pairwise(bounds)]
        list(pool.map(lambda buckets: self._mark_in(is_main, numbered, depth, buckets), shares))
        return is_main

    def _mark_in(self, is_main: Bools, numbered: NumberedEnds, depth: int, buckets: range) -> None:
        """Mark those in some buckets, for one thread."""
        main = [StoreFile(self._files.open(file.key)) for file in self._main]
        known_main = [StoreFile(self._files.open(file.key)) for file in self._known_main]
        saved = None
        if self._saved is not None and self._is_main_known:
            saved = StoreFile(self._files.open(self._saved.key))
        for bucket in buckets:
            identities = numbered.keys(bucket)
            marks = is_main[numbered.numbers(bucket)]
            _mark(marks, identities, main, bucket, depth)
            if saved is None:
                continue
            rows = saved.slice(bucket, depth, (KEY_HI, KEY_LO, IS_MAIN))
            at = places(keys_of(rows), identities)
            marks[at[rows.column(IS_MAIN).to_numpy()]] = True
            # Older files need to be asked about identities alone that nothing linked till now.
            new = np.ones(len(identities), np.bool_)
            new[at] = False
            new_marks = np.zeros(np.count_nonzero(new), np.bool_)
            _mark(new_marks, identities.at(new), known_main, bucket, depth)
            marks[np.flatnonzero(new)[new_marks]] = True


def _mark(
    marks: Bools, identities: Keys, files: Sequence[StoreFile], prefix: int, depth: int
) -> None:
    """Mark the identities under a prefix that any of the files has as a key."""
    if not len(identities):
        return
    finder = Finder(identities)
    for file in files:
        for keys in key_groups(file, prefix, depth):
            found = finder.places(keys)
            marks[found[found >= 0]] = True


class _FileLinks:
    """The links of one file, of which groups stay open while they are read prefix by prefix."""

    def __init__(self, file: StoreFile, columns: tuple[str, ...], is_there: _Presence) -> None:
        """Take the columns of keys, near and far, and which rows of a group are there."""
        self._file, self._columns, self._is_there = file, columns, is_there
        #: The group that was read last: its prefix, its ends, and where prefixes end in it.
        self._group: tuple[int, Keys, Keys, list[int]] | None = None

    def under(self, prefix: int, depth: int) -> tuple[Keys, Keys]:
        finer = max(0, depth - self._file.layout.depth)
        whole = prefix >> finer
        if self._group is None or self._group[0] != whole:
            self._group = self._read(whole, depth - finer, finer)
        _, near, far, stops = self._group
        number = prefix - (whole << finer)
        within = slice(stops[number - 1] if number else 0, stops[number])
        return Keys(near.hi[within], near.lo[within]), Keys(far.hi[within], far.lo[within])

    def _read(self, prefix: int, depth: int, finer: int) -> tuple[int, Keys, Keys, list[int]]:
        self._file.let_go()
        rows = self._file.worded_slice(prefix, depth, self._columns)
        near, far = keys_of(rows), keys_of(rows, *self._columns[2:4])
        is_there = self._is_there(rows)
        if is_there is not None:
            near, far = near.at(is_there), far.at(is_there)
        own = prefixes(near.hi, depth + finer) - np.uint64(prefix << finer)
        stops = np.searchsorted(own, np.arange(1 << finer, dtype=np.uint64), "right")
        return prefix, near, far, stops.tolist()


def _rows(numbered: NumberedEnds, bucket: int, profiles: Profiles, is_main: Bools) -> pa.Table:
    within = numbered.numbers(bucket)
    number, size = profiles.of(within)
    identity, profile = numbered.keys(bucket), numbered.keys_at(number)
    columns = {
        KEY_HI: identity.hi,
        KEY_LO: identity.lo,
        PROFILE_HI: profile.hi,
        PROFILE_LO: profile.lo,
        IDENTITY_COUNT: size,
        IS_MAIN: is_main[within],
    }
    return pa.table({name: pa.array(column) for name, column in columns.items()}, schema=SCHEMA)
