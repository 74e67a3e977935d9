import io

import numpy as np
import pyarrow as pa
import pytest

from service.engine.identity_keys import fingerprint
from service.engine.store_files import StoreFile, StoreFileWriter, depth_for, prefixes
from tests.engine.builders import SECRET


def rows(count=200):
    keys = np.random.default_rng(count).integers(0, 2**64, (2, count), dtype=np.uint64)
    hi = np.sort(keys[0])
    tags = pa.array([[str(n % 3)] for n in range(count)])
    return pa.table({"_key_hi": hi, "_key_lo": keys[1], "person.name": tags, "n": range(count)})


def written(table, depth, cuts=1):
    sink = io.BytesIO()
    writer = StoreFileWriter(sink, table.schema, depth=depth, secret=SECRET)
    for piece in np.array_split(np.arange(table.num_rows), cuts):
        writer.write_sorted(table.take(piece))
    writer.close()
    return StoreFile(pa.BufferReader(sink.getvalue()))


@pytest.mark.parametrize("file_depth", [0, 2, 5])
@pytest.mark.parametrize("slice_depth", [0, 2, 4, 7])
def test_slices_of_any_depth_together_are_the_file(file_depth, slice_depth):
    file = written(rows(), file_depth)
    slices = [file.slice(p, slice_depth, rows().column_names) for p in range(1 << slice_depth)]
    assert pa.concat_tables(slices) == rows()
    for prefix, piece in enumerate(slices):
        assert set(prefixes(piece["_key_hi"].to_numpy(), slice_depth)) <= {prefix}


def test_only_the_columns_asked_for_come_and_unknown_ones_are_left_out():
    file = written(rows(), 2)
    assert file.slice(1, 2, ["n", "unknown", "_key_hi"]).column_names == ["n", "_key_hi"]


def test_there_is_one_row_group_for_each_prefix_that_occurs():
    table = rows().filter(pa.array(rows()["_key_hi"].to_numpy() >> np.uint64(63) == 1))
    file = written(table, 3)
    assert file.layout.prefixes == (4, 5, 6, 7)
    assert [group.prefix for group in file.groups(["n"])] == [4, 5, 6, 7]
    assert sum(group.row_count for group in file.groups(["n"])) == table.num_rows


def test_a_prefix_may_fill_several_row_groups():
    file = written(rows(), 1, cuts=4)
    assert len(file.layout.prefixes) > 2
    assert file.slice(0, 0, rows().column_names) == rows()


def test_prefixes_that_do_not_ascend_are_refused():
    writer = StoreFileWriter(io.BytesIO(), rows().schema, depth=1, secret=SECRET)
    writer.write(1, rows().slice(199))
    with pytest.raises(ValueError, match="ascend"):
        writer.write(0, rows().slice(0, 1))


def test_a_file_names_its_secret_without_telling_it():
    assert written(rows(), 0).layout.secret == fingerprint(SECRET)


def test_other_parquet_files_are_no_store_files(tmp_path):
    pa.parquet.write_table(rows(), tmp_path / "other")
    with pytest.raises(ValueError, match="not a store file"):
        StoreFile(pa.memory_map(str(tmp_path / "other")))


def test_a_file_without_rows_has_its_columns_still():
    file = written(rows().slice(0, 0), 0)
    assert file.slice(0, 0, ["n"]).num_rows == 0
    assert file.schema == rows().schema


@pytest.mark.parametrize(
    ("size_bytes", "depth"), [(0, 0), (2 << 20, 0), ((2 << 20) + 1, 1), (1 << 30, 9), (1 << 60, 12)]
)
def test_depth_grows_with_size(size_bytes, depth):
    assert depth_for(size_bytes) == depth
