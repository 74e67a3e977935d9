"""The format of numberings: which number (gio_id) the profile of every identity has.

A numbering is a store file (:mod:`~service.engine.store_files`) sorted by identity key, with one
row for each identity that its snapshot has a row or a link of, and for each that a number was ever
given to. A number is given to an identity, once and for ever: to the one that represents a profile
of which no identity has a number. A profile's number is the smallest of its identities'. So when
profiles merge the older number survives, and when they part again each has the number it had.

Beside it lies an Arrow file of the numbers that stand for no profile of their own any more, but
for another's: ascending, each with the number that survived and with when that was seen first.
:mod:`~service.engine.numbering` derives both.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from service.engine.labels import keys_of
from service.engine.ranking import Ints, Keys, places
from service.engine.store_files import KEY_HI, KEY_LO, StoreFile
from service.storage.files import Files

#: The number of the identity's profile; 0 when the snapshot knows nothing of the identity.
NUMBER = "_gio_id"
#: The number that was given to the identity itself; 0 when none was.
GIVEN = "_given"

SCHEMA = pa.schema(
    [
        (KEY_HI, pa.uint64()),
        (KEY_LO, pa.uint64()),
        (NUMBER, pa.int64()),
        (GIVEN, pa.int64()),
    ]
)
ROW_BYTES = 32

MERGED = pa.schema(
    [
        ("merged_gio_id", pa.int64()),
        ("gio_id", pa.int64()),
        #: Microseconds since 1970: when the last rows of that snapshot were ingested.
        ("merged_at", pa.int64()),
    ]
)


class Numbers:
    """An open numbering. Like every store file, it belongs to one thread."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def of(self, keys: Keys, prefix: int, depth: int) -> Ints:
        """Give the numbers of profiles by their representatives, all of them under one prefix.

        Raises :class:`ValueError` for one that the numbering does not know.
        """
        rows = self._file.slice(prefix, depth, (KEY_HI, KEY_LO, NUMBER))
        self._file.let_go()
        at = places(keys, keys_of(rows))
        numbers: Ints = rows.column(NUMBER).to_numpy()[np.maximum(at, 0)] if len(rows) else at
        if len(at) and (at.min() < 0 or numbers.min() < 1):
            raise ValueError("the numbering does not know every profile of its snapshot")
        return numbers

    def of_profile(self, members: Collection[int]) -> int | None:
        """Find the number of the profile that some identities make up, by their 128-bit keys.

        The smallest that was given to any of them, so links count that are newer than the
        numbering, and those that went since do not. None when none was given to any.
        """
        depth = self._file.layout.depth
        numbers = []
        for key in members:
            hi, lo = np.uint64(key >> 64), np.uint64(key & (1 << 64) - 1)
            rows = self._file.slice(key >> (128 - depth), depth, (KEY_HI, KEY_LO, GIVEN))
            at = places(Keys(np.array([hi]), np.array([lo])), keys_of(rows))[0]
            if at >= 0:
                numbers.append(int(rows.column(GIVEN)[at].as_py()))
        return min((number for number in numbers if number), default=None)

    def identity_of(self, number: int) -> int | None:
        """Find the key of the identity that a number was given to, as one 128-bit number.

        Nobody has the number 0: that of all to which none was given.
        """
        if number < 1:
            return None
        for group in range(len(self._file.layout.prefixes)):
            given = self._file.read_group(group, (GIVEN,)).column(0).to_numpy()
            found = np.flatnonzero(given == number)
            if len(found):
                rows = self._file.read_group(group, (KEY_HI, KEY_LO))
                key = keys_of(rows).at(found)
                return int(key.hi[0]) << 64 | int(key.lo[0])
        return None


def merged_numbers(key: str, files: Files, *, after: int, most: int) -> list[tuple[int, int, int]]:
    """Read some of a list of numbers that were given up, from behind one: see :data:`MERGED`."""
    with pa.ipc.open_file(files.open(key)) as file:
        rows = file.read_all()
    ended = rows.column("merged_gio_id").to_numpy()
    first = int(np.searchsorted(ended, after, side="right"))
    return [tuple(row.values()) for row in rows.slice(first, most).to_pylist()]


def open_numbers(key: str, files: Files) -> Numbers:
    return Numbers(StoreFile(files.open(key)))
