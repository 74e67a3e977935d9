"""Keys as pairs of numbers, high half first: as tests draw and compare them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from hypothesis import strategies as st

from service.engine.ranking import Keys

WORD = 2**64 - 1
#: Half of the keys share their high half with another: as if a hash had collided.
halves = st.sampled_from([0, 1, 2**63, WORD]) | st.integers(0, WORD)


def keys_of(pairs: Iterable[tuple[int, int]]) -> Keys:
    hi, lo = ([pair[half] for pair in pairs] for half in (0, 1))
    return Keys(np.array(hi, np.uint64), np.array(lo, np.uint64))


def pairs_in(keys: Keys) -> list[tuple[int, int]]:
    return list(zip(keys.hi.tolist(), keys.lo.tolist(), strict=True))
