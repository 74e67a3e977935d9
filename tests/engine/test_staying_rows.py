"""Of every row that a plan looked at, a bit says whether it stays; whoever merges finds it."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, given, settings

from service.engine.staying_rows import StayingRows, staying, write_staying
from service.storage.files import Files

groups = st.lists(st.lists(st.booleans(), min_size=1, max_size=20), min_size=1, max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.data(), st.dictionaries(st.integers(0, 3), groups, min_size=1), st.uuids())
def test_any_rows_of_a_file_are_found_however_its_groups_were_shared_out(
    tmp_path, data, by_file, name
):
    told = [
        staying(file, number, np.array(stays))
        for file, some in by_file.items()
        for number, stays in enumerate(some)
    ]
    told = data.draw(st.permutations(told))
    cut = data.draw(st.integers(0, len(told)))
    files, keys = Files(tmp_path), []
    for number, some in enumerate([told[:cut], told[cut:]]):
        if some:
            keys.append(f"{name}/{number}.arrow")
            write_staying(some, keys[-1], files)
    rows = StayingRows(keys, files)
    for file, some in by_file.items():
        known = [bit for group in some for bit in group]
        first = data.draw(st.integers(0, len(known)))
        count = data.draw(st.integers(0, len(known) - first))
        assert rows.of(file, first, count).tolist() == known[first : first + count]
    assert rows.of(9, 0, 1) is None
