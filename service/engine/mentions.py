"""Leaves out what identities files say again: nearly every row names its own owner, and no more.

Where every identity is a profile by itself, one such row of each profile tells all that any other
does. So whole files need not be looked at beyond their keys.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from service.engine.labels import keys_of
from service.engine.ranking import Keys, places

#: A file that says something about one in so many of its rows is kept whole: to pick costs more.
WORTH_PICKING = 4


def without_repeats(tables: Sequence[pa.Table], profiles: Keys) -> list[pa.Table]:
    """Leave out rows of identities that add nothing to what is known of some profiles.

    Profiles are identities, ascending. Rows of other owners may be left out too. All rows must
    be there, none of them taken back.
    """
    told = list(tables)
    states = {number: _common_state(rows) for number, rows in enumerate(tables)}
    plain = [(state, number) for number, state in states.items() if state is not None]
    # Whoever is known in the strongest state is known in all; large files know most.
    missing = profiles
    for _, number in sorted(plain, key=lambda each: (-each[0], -tables[each[1]].num_rows, each[1])):
        rows = tables[number]
        at = places(missing, keys_of(rows)) if len(missing) else np.empty(0, np.int64)
        found = at[at >= 0]
        if WORTH_PICKING * len(found) < rows.num_rows:
            told[number] = rows.take(pa.array(found)) if len(found) else rows.slice(0, 0)
        missing = missing.at(at < 0)
    return told


def _common_state(rows: pa.Table) -> int | None:
    """Give the state of all rows, if each names its own owner and no owner has two; else None."""
    if not rows.num_rows:
        return None
    key = keys_of(rows)
    identity = keys_of(rows, "id_hi", "id_lo")
    if not (np.array_equal(key.hi, identity.hi) and np.array_equal(key.lo, identity.lo)):
        return None
    if not (key.hi[1:] > key.hi[:-1]).all():
        return None
    states = rows.column("state").to_numpy()
    state = int(states[0])
    return state if (states == state).all() else None
