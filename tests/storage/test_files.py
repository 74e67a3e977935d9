from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from service.storage.files import Files


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


def test_an_empty_file_opens(tmp_path):
    files = Files(tmp_path)
    with files.create("empty"):
        pass
    assert files.open("empty").read() == b""
