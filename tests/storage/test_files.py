import hashlib
import io
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.storage.files import Files, Writing


def a_table_under(key: str, files: Files) -> None:
    with files.create(key) as sink:
        pq.write_table(pa.table({"number": [1, 2, 3]}), pa.PythonFile(sink, mode="w"))


def test_open_files_are_not_counted_against_the_process(tmp_path):
    files = Files(tmp_path)
    a_table_under("some", files)
    before = len(list(Path("/proc/self/fd").iterdir()))
    opened = [pq.ParquetFile(files.open("some")) for _ in range(100)]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert all(file.read()["number"].to_pylist() == [1, 2, 3] for file in opened)


def test_an_open_file_outlives_its_name(tmp_path):
    files = Files(tmp_path)
    a_table_under("some", files)
    opened = files.open("some")
    files.delete("some")
    assert pq.read_table(opened)["number"].to_pylist() == [1, 2, 3]


def test_a_file_is_there_when_it_is_whole_and_not_before(tmp_path):
    files = Files(tmp_path)
    with files.create("folder/some") as sink:
        sink.write(b"half of it")
        assert not files.exists("folder/some")
        assert list(files.keys()) == []
    assert list(files.keys()) == ["folder/some"]


def test_a_passing_file_is_there_when_it_is_whole_and_not_before(tmp_path):
    files = Files(tmp_path)
    with files.create_passing("folder/some") as sink:
        sink.write(b"all of it")
        assert not files.exists("folder/some")
    assert files.open("folder/some").read() == b"all of it"
    with suppress(ZeroDivisionError), files.create_passing("folder/other") as sink:
        sink.write(bytes(1 // 0))
    assert list(files.below("folder")) == ["folder/some"]


def test_a_process_that_dies_while_writing_leaves_nothing_under_the_key(tmp_path):
    files = Files(tmp_path)
    with files.create("folder/some") as sink:
        sink.write(b"half of it")
        (left,) = files.below("folder")
        (tmp_path / "folder" / "as-it-died.partial").write_bytes((tmp_path / left).read_bytes())
    files.delete("folder/some")
    assert list(files.keys()) == []
    assert len(list(files.below("folder"))) == 1, "the sweeper still finds it"


def test_an_empty_file_opens(tmp_path):
    files = Files(tmp_path)
    with files.create("empty"):
        pass
    assert files.open("empty").read() == b""


class Reluctant(io.BytesIO):
    """Takes a few bytes at a time, as raw files may."""

    def write(self, data):
        return super().write(data[:3])


def test_what_a_disk_takes_bit_by_bit_is_written_whole():
    disk = Reluctant()
    writing = Writing("key", disk)
    assert writing.write(b"0123456789") == 10
    assert writing.write(memoryview(b"abc")) == 3
    assert disk.getvalue() == b"0123456789abc"
    assert (writing.size_bytes, writing.tell()) == (13, 13)
    assert writing.written().sha256 == hashlib.sha256(b"0123456789abc").hexdigest()


def test_a_large_file_is_whole_though_the_disk_began_before_the_end(tmp_path):
    files, pieces = Files(tmp_path), [bytes([n]) * (3 << 20) for n in range(7)]
    with files.create("large") as sink:
        for piece in pieces:
            sink.write(piece)
    assert files.open("large").read() == b"".join(pieces)
    assert sink.written().sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_everything_below_a_folder_is_found_and_nothing_elsewhere(tmp_path):
    files = Files(tmp_path)
    for key in ("a/b/1", "a/2", "ab/3"):
        with files.create(key) as file:
            file.write(b"x")
    (tmp_path / "a/b/.1.cd.partial").touch()
    with files.scratch("a") as scratch:
        (scratch / "spilt").touch()
        assert sorted(key.rpartition("/")[2] for key in files.below("a")) == [
            ".1.cd.partial",
            "1",
            "2",
            "spilt",
        ]
    assert list(files.below("nowhere")) == []


def test_tidying_removes_what_is_empty_and_nothing_else(tmp_path):
    files = Files(tmp_path)
    with files.create("a/b/c/1") as file:
        file.write(b"x")
    (tmp_path / "a/empty/deeper").mkdir(parents=True)
    files.tidy("a")
    assert [path.name for path in sorted((tmp_path / "a").iterdir())] == ["b"]
    assert files.delete("a/b/c/1")
    assert not files.delete("a/b/c/1")
    files.tidy("a")
    files.tidy("a")
    assert not (tmp_path / "a").exists()
