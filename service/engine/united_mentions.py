"""Brings home what identities files say, each thing once.

Nearly every row of every batch names its own owner, and no more. So few rows of many say anything
that others do not, and under a graph that unites identities all of them would have to be looked
up, moved and sorted. A plan therefore reads the identities files prefix by prefix, and writes each
pair of owner and identity once, at the prefix of its profile, with the strongest state seen.
Whoever merges reads these runs instead of the files.

Which batch named whom last is lost by that: orders that ask for it read the files.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column
from service.engine.columns import Stack
from service.engine.labels import PROFILE_HI, PROFILE_LO, Labels
from service.engine.moved_rows import ADDED, ORIGIN, Moved
from service.engine.orders import GONE
from service.engine.ranking import Ints, Keys, run_starts
from service.engine.snapshot import Snapshot
from service.engine.store_files import KEY_HI, KEY_LO, StoreFile, code_type, prefixes
from service.engine.vocabulary import Vocabulary
from service.storage.files import Files

States = npt.NDArray[np.int8]

#: So many bits of a word tell the identities of one owner apart.
_IDENTITY_BITS = 8

_NAMESPACE = pa.dictionary(pa.int32(), pa.string())


def can_be_united(snapshot: Snapshot) -> bool:
    """Say whether an order asks for nothing of identities files but who is named."""
    is_asked = "id_hi" in snapshot.columns(StoreFileKind.IDENTITIES)
    return is_asked and snapshot.order.table is None


class MentionReader:
    """Reads what the identities files of a snapshot say under some prefixes."""

    def __init__(
        self, prefixes: range, snapshot: Snapshot, vocabulary: Vocabulary, files: Files
    ) -> None:
        """Take prefixes of the depth of slices."""
        self._prefixes = prefixes
        self._snapshot = snapshot
        self._vocabulary = vocabulary
        self._columns = snapshot.columns(StoreFileKind.IDENTITIES)
        self._numbers = snapshot.numbers(StoreFileKind.IDENTITIES)
        self._files = [StoreFile(files.open(snapshot.files[n].key)) for n in self._numbers]
        dictionaries = [file.dictionary("namespace") for file in self._files]
        known = [each for each in dictionaries if each is not None]
        self._namespaces = pc.unique(pa.chunked_array(known, pa.string()))
        words = vocabulary.words.get("value")
        self._schema = pa.schema(
            [
                *((name, pa.uint64()) for name in (KEY_HI, KEY_LO, "id_hi", "id_lo")),
                ("namespace", _NAMESPACE),
                ("value", pa.string() if words is None else code_type(words)),
                ("state", pa.int8()),
                *ADDED.items(),
            ]
        )

    def moved(self, labels: Labels, depth: int) -> Iterator[Moved]:
        """Yield what is said under each prefix, by where the profiles of its owners are at home."""
        for prefix in self._prefixes:
            tables = [file.worded_slice(prefix, depth, self._columns) for file in self._files]
            if any(rows.num_rows for rows in tables):
                yield self._moved(tables, prefix, depth, labels)
            for file in self._files:
                file.let_go()

    def _moved(self, tables: list[pa.Table], prefix: int, depth: int, labels: Labels) -> Moved:
        stack = Stack(tables, self._vocabulary, range(len(tables)))
        owner = Keys(stack.numbers(KEY_HI, np.uint64), stack.numbers(KEY_LO, np.uint64))
        identity = Keys(stack.numbers("id_hi", np.uint64), stack.numbers("id_lo", np.uint64))
        source = np.concatenate(
            [
                self._snapshot.sources(number, rows)
                for number, rows in zip(self._numbers, tables, strict=True)
            ]
        )
        is_there = np.flatnonzero(source != GONE)
        if len(is_there) == len(source):
            at, state = told_once(owner, identity, stack.numbers("state", np.int8))
        else:
            at, state = told_once(
                owner.at(is_there),
                identity.at(is_there),
                stack.numbers("state", np.int8)[is_there],
            )
            at = is_there[at]
        profile, is_excluded = labels.resolve(owner.at(at), prefix, depth)
        home = prefixes(profile.hi, depth).astype(np.uint16)
        order = np.argsort(home, kind="stable")  # sixteen bits are sorted by counting
        if is_excluded.any():
            order = order[~is_excluded[order]]
        at, profile = at[order], profile.at(order)
        columns: dict[str, Column] = {
            KEY_HI: pa.array(owner.hi[at]),
            KEY_LO: pa.array(owner.lo[at]),
            "id_hi": pa.array(identity.hi[at]),
            "id_lo": pa.array(identity.lo[at]),
            "namespace": self._namespaces_at(stack, at),
            "value": self._values_at(stack, at),
            "state": pa.array(state[order]),
            PROFILE_HI: pa.array(profile.hi),
            PROFILE_LO: pa.array(profile.lo),
            ORIGIN: pa.array(source[at].astype(np.int32)),
        }
        rows = pa.RecordBatch.from_arrays(
            [columns[field.name] for field in self._schema], schema=self._schema
        )
        return Moved(rows=rows, home=home[order])

    def _namespaces_at(self, stack: Stack, rows: Ints) -> Column:
        """Give namespaces with the dictionary that all rows share."""
        numbers = [
            pc.index_in(chunk.dictionary, value_set=self._namespaces)
            .to_numpy()
            .astype(np.int32)[chunk.indices.to_numpy()]
            for chunk in stack.column("namespace", _NAMESPACE).chunks
        ]
        return pa.DictionaryArray.from_arrays(np.concatenate(numbers)[rows], self._namespaces)

    def _values_at(self, stack: Stack, rows: Ints) -> Column:
        """Give values as runs have them."""
        type = self._schema.field("value").type
        words = stack.words("value")
        if words is None:
            return stack.values("value", type, rows)
        return words.at(rows).indices.cast(type)


def told_once(owner: Keys, identity: Keys, state: States) -> tuple[Ints, States]:
    """Give one row of each pair, owners ascending, and the strongest state that any row has.

    Few pairs may be given more than once: rows are sorted by so many bits as fit into a word
    beside the position, which in keys that are hashes nearly always tell pairs apart.
    """
    count = len(owner)
    if not count:
        return np.empty(0, np.int64), state
    width = (count - 1).bit_length()
    packed = owner.hi - owner.hi.min()
    shift = max(0, int(packed.max()).bit_length() + width + _IDENTITY_BITS - 64)
    packed >>= np.uint64(shift)
    packed <<= np.uint64(_IDENTITY_BITS)
    packed |= (owner.lo ^ identity.lo) >> np.uint64(64 - _IDENTITY_BITS)
    packed <<= np.uint64(width)
    packed |= np.arange(count, dtype=np.uint64)
    packed.sort()
    packed &= np.uint64((1 << width) - 1)
    order = packed.view(np.int64)
    starts = run_starts(identity.lo[order], owner.lo[order], identity.hi[order], owner.hi[order])
    rows: Ints = order[starts]
    return rows, np.maximum.reduceat(state[order], starts)
