"""Writes the rows that were refused to files of their own, each with its reason.

One JSON document a line: the row's own values, or its text in ``_corrupt_record`` where it has
none; ``_errors`` with code and message, ``_filename`` and the row's number in ``_row``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self

from service.engine.orders import NewMetaFile, UploadedFile
from service.engine.rows import WHOLE_FILE, Flaw, Original, Rows
from service.storage.files import Files, Writing

#: Where readers find them among what is told about a batch.
FOLDER: Final = "row_errors"
SAMPLE: Final = "row_errors_sample.json"
INPUT_FILES: Final = "input_files/fileMetaData1.json"

#: A row that takes more is told by its beginning: whoever sent it has the rest.
LINE_BYTES = 64 << 10
#: A new file is begun after this much.
FILE_BYTES = 64 << 20
#: And there are no more of them after this much: from then on rows are counted only.
MOST_BYTES = 256 << 20
#: Rows in the sample, and what they may take.
SAMPLE_ROWS = 100
SAMPLE_BYTES = 1 << 20


def told(path: str, rows: Rows, skipped: Iterable[Flaw]) -> list[bytes]:
    """Give a line for each row of a file that was refused or skipped, in the file's order."""
    return [_line(path, flaw, rows.original) for flaw in sorted((*rows.flaws, *skipped))]


class RowErrors:
    """Takes lines in the order of their rows. Gives up what is open unless it is closed."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder
        self._open: _OpenFile | None = None
        self._written: list[NewMetaFile] = []
        self._sample: list[bytes] = []
        self._sample_bytes = 0
        self._size_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            self._open.abandon()

    @property
    def is_full(self) -> bool:
        """No line is kept any more."""
        return self._size_bytes >= MOST_BYTES

    def add(self, lines: Iterable[bytes]) -> None:
        """Keep lines, as long as they are not more than anybody will look at."""
        kept: list[bytes] = []
        for line in lines:
            if self.is_full:
                break
            if len(self._sample) < SAMPLE_ROWS and self._sample_bytes < SAMPLE_BYTES:
                self._sample.append(line)
                self._sample_bytes += len(line)
            kept.append(line)
            self._size_bytes += len(line)
        if not kept:
            return
        if self._open is None:
            name = f"{FOLDER}/part-{len(self._written):05}.json"
            self._open = _OpenFile(self._files, self._folder, name)
        self._open.writing.write(b"".join(kept))
        if self._open.writing.size_bytes >= FILE_BYTES:
            self._close_file()

    def close(self, uploads: Iterable[UploadedFile]) -> tuple[NewMetaFile, ...]:
        """Give all files, a sample of them, and the list of what was read."""
        self._close_file()
        if self._sample:
            self._written.append(self._whole(SAMPLE, self._sample))
        sent = [{"path": upload.path, "sizeInBytes": upload.size_bytes} for upload in uploads]
        self._written.append(self._whole(INPUT_FILES, [_encoded(each) for each in sent]))
        return tuple(self._written)

    def _whole(self, path: str, lines: Iterable[bytes]) -> NewMetaFile:
        file = _OpenFile(self._files, self._folder, path)
        for line in lines:
            file.writing.write(line)
        return file.close()

    def _close_file(self) -> None:
        if self._open is not None:
            self._written.append(self._open.close())
            self._open = None


class _OpenFile:
    def __init__(self, files: Files, folder: str, path: str) -> None:
        self._path = path
        self._stack = ExitStack()
        self.writing: Writing = self._stack.enter_context(files.create(f"{folder}/meta/{path}"))

    def close(self) -> NewMetaFile:
        self._stack.close()
        written = self.writing.written()
        return NewMetaFile(
            path=self._path,
            key=written.key,
            size_bytes=written.size_bytes,
            sha256=written.sha256,
        )

    def abandon(self) -> None:
        """Leave nothing under the key."""
        self._stack.__exit__(_Abandoned, _Abandoned(), None)


class _Abandoned(Exception):
    pass


def _line(path: str, flaw: Flaw, original: Original | None) -> bytes:
    about = {
        "_errors": [{"code": flaw.code, "message": flaw.message}],
        "_filename": path,
        "_row": flaw.row,
    }
    if original is None or flaw.row == WHOLE_FILE:
        return _encoded(about)
    found = original(flaw.row)
    if not isinstance(found, bytes):
        line = _encoded({**_plain_values(found), **about})
        if len(line) <= LINE_BYTES:
            return line
        found = _encoded(_plain_values(found))
    elif (values := _values(found)) is not None:
        return _encoded({**values, **about})
    return _encoded({"_corrupt_record": found[:LINE_BYTES].decode(errors="replace"), **about})


def _values(row: bytes) -> dict[str, Any] | None:
    """Give what a row says, if it is an object of values that JSON has."""
    if len(row) > LINE_BYTES or not row.lstrip().startswith(b"{"):
        return None
    try:
        found: dict[str, Any] = _DECODER.decode(row.decode())
        _ENCODER.encode(found)
    except (ValueError, RecursionError):
        return None
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = json.JSONEncoder(allow_nan=False)


def _encoded(document: Mapping[str, object]) -> bytes:
    """Give a document of plain values as a line of ASCII."""
    return _ENCODER.encode(document).encode() + b"\n"


def _plain_values(values: Mapping[str, object]) -> dict[str, object]:
    return {name: plain(value) for name, value in values.items()}


def plain(value: object) -> object:
    """Give what JSON has for a value; a text where it has nothing."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    is_plain = value is None or isinstance(value, bool | int | str)
    is_plain |= isinstance(value, float) and math.isfinite(value)
    return value if is_plain else str(value)
