"""Home files: the rows of a store file that live elsewhere than their profile, once more, at home.

Rows of a store file are sorted by their own identity. Where the identity is a *stray*, which is to
say that another one represents its profile, an export that unites identities would have to bring
its rows home in every plan. A home file does so once: it holds the rows of all strays of one store
file by one labelling, cut at the prefixes of their profiles, with two columns more that say which.

It repeats what the store file says and adds nothing: whoever does not want to know of it goes on
reading the store file, and it may be lost at any time. What it holds, and by which rule, has a
number (:data:`catalog.home_files.FORMAT`), and one of another is never read. Identities that belong
to another profile by now are found by comparing labellings, see :mod:`~service.engine.moves`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column
from service.engine.labels import IDENTITY_COUNT, PROFILE_HI, PROFILE_LO, keys_of
from service.engine.moved_rows import Moved, write_run
from service.engine.nesting import taken
from service.engine.orders import NewFile
from service.engine.ranking import Keys, distinct, equal, ordered, places, run_starts
from service.engine.store_files import (
    KEY_HI,
    KEY_LO,
    StoreFile,
    StoreFileWriter,
    depth_for,
    prefixes,
)
from service.storage.files import Files

#: What may have a home file.
BROUGHT_HOME = frozenset({StoreFileKind.RECORDS, StoreFileKind.EVENTS, StoreFileKind.IDENTITIES})
#: Rows of profiles with more identities are not in home files: they are of nobody, as far as
#: anybody asks by now. What home files hold follows from this number and the labelling alone, so
#: with another one they have another format.
MOST_IDENTITIES = 50
#: Rows wait in memory until they take so much: then 64 of such runs are 4 GiB, the most that
#: compactions write, and each has some 16 KiB for one of 4,096 prefixes.
RUN_BYTES = 64 << 20

_LABEL = (KEY_HI, KEY_LO, PROFILE_HI, PROFILE_LO, IDENTITY_COUNT)


class Strays(NamedTuple):
    """Identities that another one stands for, and which does."""

    #: Ascending.
    identity: Keys
    profile: Keys


def strays(labelling: StoreFile, prefix: int, depth: int, identity_limit: int) -> Strays:
    """Read the strays under a prefix; those of profiles with too many identities are left out."""
    rows = labelling.slice(prefix, depth, _LABEL)
    identity, profile = keys_of(rows), keys_of(rows, PROFILE_HI, PROFILE_LO)
    are_strays = ~equal(identity, profile)
    are_strays &= rows.column(IDENTITY_COUNT).to_numpy() <= identity_limit
    return Strays(identity.at(are_strays), profile.at(are_strays))


def write_home_file(store_file: str, labelling: str, key: str, files: Files) -> NewFile:
    """Write the home file of a store file, of which nothing may be left in it but its layout.

    Holds as much in memory as a run has, and what lies under one prefix of profiles.
    """
    file, labels = StoreFile(files.open(store_file)), StoreFile(files.open(labelling))
    depth = depth_for(sum(file.layout.column_bytes.values()))
    row_count = 0
    with files.scratch(key.rpartition("/")[0]) as scratch:
        brought = _Brought(scratch, depth)
        for group in range(len(file.layout.prefixes)):
            brought.add(_strays_of(file, group, labels))
            file.let_go()
            labels.let_go()
        with (
            files.create(key) as sink,
            StoreFileWriter(
                sink,
                pa.schema([*file.schema, (PROFILE_HI, pa.uint64()), (PROFILE_LO, pa.uint64())]),
                depth=depth,
                secret=None,
                cut_at=PROFILE_HI,
                words=_words(file),
            ) as writer,
        ):
            for prefix, rows in brought.by_prefix():
                writer.write(prefix, rows)
                row_count += rows.num_rows
    written = sink.written()
    return NewFile(
        key=written.key,
        size_bytes=written.size_bytes,
        row_count=row_count,
        sha256=written.sha256,
    )


def _words(file: StoreFile) -> dict[str, Column]:
    found = {name: file.words(name) for name in file.schema.names}
    return {name: words for name, words in found.items() if words is not None}


def _strays_of(file: StoreFile, group: int, labels: StoreFile) -> pa.Table:
    """Take the rows of strays out of a group, in its order, with their profiles."""
    layout = file.layout
    rows = file.worded_group(group)
    keys = keys_of(rows)
    heads = run_starts(keys.hi, keys.lo)
    counts = np.diff(heads, append=len(keys))
    known = strays(labels, layout.prefixes[group], layout.depth, MOST_IDENTITIES)
    at = places(keys.at(heads), known.identity)
    found = at >= 0
    profile = known.profile.at(np.repeat(at[found], counts[found]))
    of_strays = taken(rows, np.flatnonzero(np.repeat(found, counts)))
    return of_strays.append_column(PROFILE_HI, pa.array(profile.hi)).append_column(
        PROFILE_LO, pa.array(profile.lo)
    )


class _Brought:
    """Takes rows in the order of their keys and gives them back in that of their profiles."""

    def __init__(self, scratch: Path, depth: int) -> None:
        self._scratch = scratch
        self._depth = depth
        self._runs: list[StoreFile] = []
        self._waiting: list[Moved] = []
        self._waiting_bytes = 0

    def add(self, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        home = prefixes(rows.column(PROFILE_HI).to_numpy(), self._depth).astype(np.uint16)
        order = np.argsort(home, kind="stable")  # sixteen bits are sorted by counting
        (batch,) = taken(rows, order).combine_chunks().to_batches()
        self._waiting.append(Moved(rows=batch, home=home[order]))
        self._waiting_bytes += rows.nbytes
        if self._waiting_bytes >= RUN_BYTES:
            self._spill()

    def by_prefix(self) -> Iterator[tuple[int, pa.Table]]:
        """Yield what was added, prefix by prefix, sorted by profile and then as it was added."""
        for prefix in range(1 << self._depth):
            pieces = [run.slice(prefix, self._depth, run.schema.names) for run in self._runs]
            pieces += [each.under(prefix) for each in self._waiting]
            pieces = [rows for rows in pieces if rows.num_rows]
            if pieces:
                yield prefix, _by_profile(pa.concat_tables(pieces))

    def _spill(self) -> None:
        path = str(self._scratch / f"{len(self._runs)}.arrow")
        with pa.OSFile(path, "wb") as sink:
            write_run(sink, self._waiting, self._depth)
        self._runs.append(StoreFile(pa.OSFile(path)))
        self._waiting, self._waiting_bytes = [], 0


def _by_profile(rows: pa.Table) -> pa.Table:
    _, number = distinct(keys_of(rows, PROFILE_HI, PROFILE_LO))
    return taken(rows, ordered(number))
