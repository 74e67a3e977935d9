"""The label file of a plan: the profile of every identity that is not a profile by itself."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from service.engine.identity import Labelling
from service.engine.ranking import Bools, Keys, places
from service.engine.store_files import KEY_HI, KEY_LO, StoreFile, StoreFileWriter, depth_for
from service.storage.files import Files

#: The representative of the profile a row or an identity belongs to.
PROFILE_HI, PROFILE_LO = "_profile_hi", "_profile_lo"

_IS_EXCLUDED = "_is_excluded"
_COLUMNS = (KEY_HI, KEY_LO, PROFILE_HI, PROFILE_LO, _IS_EXCLUDED)


class Labels:
    """An open label file. Like every store file, it belongs to one thread."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file

    def resolve(self, keys: Keys, prefix: int, depth: int) -> tuple[Keys, Bools]:
        """Give the profiles of keys under one prefix, and which of the keys are excluded."""
        rows = self._file.slice(prefix, depth, _COLUMNS)
        at = places(keys, keys_of(rows, KEY_HI, KEY_LO))
        is_labelled = at >= 0
        profile = Keys(keys.hi.copy(), keys.lo.copy())
        labelled = keys_of(rows, PROFILE_HI, PROFILE_LO).at(at[is_labelled])
        profile.hi[is_labelled], profile.lo[is_labelled] = labelled.hi, labelled.lo
        is_excluded = np.zeros(len(keys), np.bool_)
        flags = rows.column(_IS_EXCLUDED).to_numpy()
        is_excluded[is_labelled] = flags[at[is_labelled]]
        return profile, is_excluded


def write_labels(labelling: Labelling, key: str, files: Files) -> None:
    """Store a labelling under a key."""
    profile = labelling.profile
    columns = (
        labelling.identity.hi,
        labelling.identity.lo,
        profile.hi,
        profile.lo,
        labelling.is_excluded,
    )
    rows = pa.table({name: pa.array(c) for name, c in zip(_COLUMNS, columns, strict=True)})
    with files.create(key) as sink:
        writer = StoreFileWriter(sink, rows.schema, depth=depth_for(rows.nbytes), secret=None)
        writer.write_sorted(rows)
        writer.close()


def open_labels(key: str | None, files: Files) -> Labels | None:
    """Open a label file; without one, every identity is a profile by itself."""
    return None if key is None else Labels(StoreFile(files.open(key)))


def keys_of(rows: pa.Table, hi: str = KEY_HI, lo: str = KEY_LO) -> Keys:
    """Give two columns of a table as keys."""
    return Keys(rows.column(hi).to_numpy(), rows.column(lo).to_numpy())
