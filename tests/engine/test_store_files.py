import io

import numpy as np
import pyarrow as pa
import pytest

from service.engine.identity_keys import fingerprint
from service.engine.store_files import (
    StoreFile,
    StoreFileWriter,
    code_type,
    depth_for,
    prefixes,
)
from service.engine.words import common_words
from tests.engine.builders import SECRET


def rows(count=200):
    keys = np.random.default_rng(count).integers(0, 2**64, (2, count), dtype=np.uint64)
    hi = np.sort(keys[0])
    tags = pa.array([[str(n % 3)] for n in range(count)])
    return pa.table({"_key_hi": hi, "_key_lo": keys[1], "person.name": tags, "n": range(count)})


def written(table, depth, cuts=1, words=None):
    sink = io.BytesIO()
    writer = StoreFileWriter(sink, table.schema, depth=depth, secret=SECRET, words=words)
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


def test_there_is_one_group_for_each_prefix_that_occurs():
    table = rows().filter(pa.array(rows()["_key_hi"].to_numpy() >> np.uint64(63) == 1))
    file = written(table, 3)
    assert file.layout.prefixes == (4, 5, 6, 7)
    assert [group.prefix for group in file.groups(["n"])] == [4, 5, 6, 7]
    assert sum(group.row_count for group in file.groups(["n"])) == table.num_rows


def test_a_prefix_may_fill_several_groups():
    file = written(rows(), 1, cuts=4)
    assert len(file.layout.prefixes) > 2
    assert file.slice(0, 0, rows().column_names) == rows()


def colours(count=200):
    colour = [[None, "red", "blue", "ochre"][n % 4] for n in range(count)]
    return rows(count).append_column("colour", pa.array(colour))


WORDS = {"colour": pa.array(["ochre", "red", "blue", "mauve"])}


def test_texts_stored_as_words_are_read_as_texts():
    file = written(colours(), 2, cuts=3, words=WORDS)
    assert file.schema == colours().schema
    assert pa.concat_tables(file.slice(p, 3, colours().column_names) for p in range(8)) == colours()


def test_words_are_codes_into_one_dictionary_of_the_file():
    file = written(colours(), 2, words=WORDS)
    column = file.worded_slice(0, 0, ["colour"])["colour"]
    assert column.type == pa.dictionary(pa.uint8(), pa.string())
    assert column.cast("string") == colours()["colour"]
    assert all(chunk.dictionary == WORDS["colour"] for chunk in column.chunks)
    assert file.words("colour") == WORDS["colour"]
    assert file.words("n") is None


def test_words_may_come_as_words():
    column = pa.DictionaryArray.from_arrays(pa.array([1, 3, None]), WORDS["colour"])
    table = rows(3).append_column("colour", column)
    plain = written(table.set_column(4, "colour", column.cast("string")), 0, words=WORDS)
    assert written(table, 0, words=WORDS).slice(0, 0, ["colour"]) == plain.slice(0, 0, ["colour"])


def test_a_text_that_is_no_word_is_refused():
    with pytest.raises(ValueError, match="colour has a text that is none of its words"):
        written(colours(), 0, words={"colour": pa.array(["red", "ochre"])})


def test_a_dictionary_that_is_another_than_before_is_refused():
    column = pa.array(["red", "blue"] * 100).dictionary_encode()
    other = pa.array(["blue", "red"] * 100).dictionary_encode()
    first, second = (rows().append_column("colour", each) for each in (column, other))
    writer = StoreFileWriter(io.BytesIO(), first.schema, depth=0, secret=SECRET)
    writer.write(0, first)
    with pytest.raises(ValueError, match="another dictionary"):
        writer.write(0, second)


def test_words_of_several_files_are_common_where_all_of_them_have_words():
    first = written(colours(), 0, words={"colour": pa.array(["red", "ochre", "blue"])})
    second = written(colours(), 0, words=WORDS)
    without = written(rows(), 0)
    assert common_words([first, without, second])["colour"].to_pylist() == [
        "red",
        "ochre",
        "blue",
        "mauve",
    ]
    assert common_words([first, written(colours(), 0)]) == {}


def test_many_words_need_wider_codes():
    counts = [256, 257, 65_536, 65_537]
    types = [code_type(pa.array(range(count)).cast("string")) for count in counts]
    assert types == [pa.uint8(), pa.uint16(), pa.uint16(), pa.int32()]


def test_prefixes_that_do_not_ascend_are_refused():
    writer = StoreFileWriter(io.BytesIO(), rows().schema, depth=1, secret=SECRET)
    writer.write(1, rows().slice(199))
    with pytest.raises(ValueError, match="ascend"):
        writer.write(0, rows().slice(0, 1))


def test_a_file_names_its_secret_without_telling_it():
    assert written(rows(), 0).layout.secret == fingerprint(SECRET)


def test_other_files_are_no_store_files(tmp_path):
    pa.parquet.write_table(rows(), tmp_path / "parquet")
    with pa.ipc.new_file(tmp_path / "arrow", rows().schema) as arrow:
        arrow.write_table(rows())
    for other in ("parquet", "arrow"):
        with pytest.raises(ValueError, match="not a store file"):
            StoreFile(pa.memory_map(str(tmp_path / other)))


def test_a_file_without_rows_has_its_columns_still():
    file = written(rows().slice(0, 0), 0)
    assert file.slice(0, 0, ["n"]).num_rows == 0
    assert file.schema == rows().schema


@pytest.mark.parametrize(
    ("size_bytes", "depth"), [(0, 0), (8 << 20, 0), ((8 << 20) + 1, 1), (1 << 30, 7), (1 << 60, 12)]
)
def test_depth_grows_with_size(size_bytes, depth):
    assert depth_for(size_bytes) == depth
