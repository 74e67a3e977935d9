"""Store files kept open between look-ups: to open one again costs more than to look into it."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from service.engine.labels import keys_of
from service.engine.ranking import Ints, Keys, Uint64s
from service.engine.store_files import KEY_HI, KEY_LO, SOURCE, StoreFile, prefixes
from service.storage.files import Files

#: Files that are kept open; each is a mapping and some kilobytes.
MOST_FILES = 2_000
#: A file that nobody asked for so long is let go, and with it the disk space of one that was
#: removed since.
KEPT_SECONDS = 600.0

_KEY = (KEY_HI, KEY_LO)
#: What is read of links.
LINK = (KEY_HI, KEY_LO, SOURCE, "other_hi", "other_lo")


@dataclass(slots=True)
class OpenFile:
    """A store file, open twice: for its keys, and for whatever columns are wanted."""

    keys: StoreFile
    rows: StoreFile
    used_at: float = 0.0
    #: Only of files of links that were looked into from their far ends.
    links: _Links | None = None


class OpenStore:
    """Files of the profile store by key, opened once."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._open: OrderedDict[str, OpenFile] = OrderedDict()

    def file(self, key: str) -> OpenFile:
        """Open a file, or find it open; refuses with NotFound."""
        found = self._open.get(key)
        if found is None:
            source = self._files.open
            found = self._open[key] = OpenFile(StoreFile(source(key)), StoreFile(source(key)))
        found.used_at = time.monotonic()
        self._open.move_to_end(key)
        return found

    def let_go(self) -> None:
        """Close what was not used lately, and the oldest of too many."""
        until = time.monotonic() - KEPT_SECONDS
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if oldest.used_at > until and len(self._open) <= MOST_FILES:
                return
            del self._open[key]

    def rows(self, key: str, keys: Keys, columns: tuple[str, ...]) -> pa.Table | None:
        """Read the rows of a file that have one of some keys; None when there are none.

        Columns that the file lacks are left out; texts are texts.
        """
        file = self.file(key)
        pieces = [
            _slice(file.rows, prefix, columns, at, count)
            for prefix, at, count in _places(file.keys, keys)
        ]
        if not pieces:
            return None
        schema = pa.schema(
            [file.rows.schema.field(name) for name in columns if name in file.rows.schema.names]
        )
        return pa.concat_tables(pieces).cast(schema)

    def links_from(self, key: str, keys: Keys) -> pa.Table:
        """Read the links of a file whose near end is one of some keys."""
        rows = self.rows(key, keys, LINK)
        if rows is None:
            file = self.file(key).rows
            return file.slice(0, 0, LINK).slice(0, 0)
        return rows

    def links_to(self, key: str, keys: Keys) -> pa.Table:
        """Read the links of a file whose far end is one of some keys.

        Files are sorted by the near ends: the far ones are sorted here, once.
        """
        file = self.file(key)
        if file.links is None:
            file.links = _Links.of(file.rows.slice(0, 0, LINK))
        return file.links.ending_in(keys)


@dataclass(frozen=True, slots=True)
class _Links:
    """The links of one file, by their far ends."""

    rows: pa.Table
    far_lo: Uint64s
    #: Positions that sort the far ends by their high half, and those halves.
    order: Ints
    in_order: Uint64s

    @classmethod
    def of(cls, rows: pa.Table) -> _Links:
        far = keys_of(rows, "other_hi", "other_lo")
        order = np.argsort(far.hi)
        return cls(rows, far.lo, order, far.hi[order])

    def ending_in(self, keys: Keys) -> pa.Table:
        starts = np.searchsorted(self.in_order, keys.hi, "left").tolist()
        stops = np.searchsorted(self.in_order, keys.hi, "right").tolist()
        found = [np.empty(0, np.int64)]
        for number, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            at = self.order[start:stop]
            found.append(at[self.far_lo[at] == keys.lo[number]])
        return self.rows.take(pa.array(np.concatenate(found)))


def _places(file: StoreFile, keys: Keys) -> list[tuple[int, int, int]]:
    """Give prefix, first row in the prefix's rows, and number of rows, of each key that occurs."""
    found = []
    if file.layout.cut_at != KEY_HI:
        rows = file.slice(0, 0, _KEY)
        return [(-1, int(at), 1) for at in _anywhere(keys_of(rows), keys)]
    own = prefixes(keys.hi, file.layout.depth)
    for number, prefix in enumerate(own.tolist()):
        rows = file.slice(prefix, file.layout.depth, _KEY)
        if not rows.num_rows:
            continue
        held = keys_of(rows)
        first = int(np.searchsorted(held.hi, keys.hi[number], "left"))
        last = int(np.searchsorted(held.hi, keys.hi[number], "right"))
        same = np.flatnonzero(held.lo[first:last] == keys.lo[number])
        if len(same):
            found.append((prefix, first + int(same[0]), len(same)))
    return found


def _anywhere(held: Keys, keys: Keys) -> Ints:
    is_asked = np.isin(held.hi, keys.hi)
    at = np.flatnonzero(is_asked)
    pairs = set(zip(keys.hi.tolist(), keys.lo.tolist(), strict=True))
    of_held = zip(held.hi[at].tolist(), held.lo[at].tolist(), strict=True)
    return at[np.array([pair in pairs for pair in of_held], np.bool_)]


def _slice(file: StoreFile, prefix: int, columns: tuple[str, ...], at: int, count: int) -> pa.Table:
    depth = file.layout.depth if prefix >= 0 else 0
    return file.worded_slice(max(prefix, 0), depth, columns).slice(at, count)
