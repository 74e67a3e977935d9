"""Reads made-up files one after another, and says what became of them: a child of a volley.

Each file is looked at as a preview does, and read by the format's own reader. What is accepted of
some files goes together through all that a promotion does with rows; and of one such heap in fifty
the files go the whole way from disk, which must come to the same.
"""

from __future__ import annotations

import json
import mmap
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import NamedTuple
from unittest import mock

from catalog.batches import FileFormat
from catalog.errors import Refusal
from catalog.schemas import Field
from service.engine import promotion, row_errors
from service.engine.orders import PeekOrder, Reading, UploadedFile
from service.engine.peeking import peek
from service.engine.rows import WHOLE_FILE, FileRefused, Flaw, Rows, together
from service.engine.uploads import Upload
from service.storage.files import Files
from tests.engine import made_csv, made_json, made_parquet
from tests.engine.made_files import Made, Maker, an_order, some_fields

MAKERS: dict[FileFormat, Maker] = {
    FileFormat.JSON: made_json,
    FileFormat.CSV: made_csv,
    FileFormat.PARQUET: made_parquet,
}
#: Files that are read with one schema and in one way, and whose rows are promoted together.
HEAP = 100
#: Of so many heaps the files of one are promoted as they are.
HEAPS_PER_WHOLE_WAY = 50
#: More than any file here needs, that becomes memory of the process for one file.
MOST_GROWTH_BYTES = 256 << 20
#: All that the child may allocate: what a file says of its own size is not believed beyond this.
MOST_DATA_BYTES = 4 << 30


class Aim(NamedTuple):
    """How the files of one heap are read."""

    reading: Reading
    fields: tuple[Field, ...]
    is_upsert: bool


def aim(format: FileFormat, seed: str, number: int) -> Aim:
    rng = Random(f"fuzz {format} {seed} heap {number // HEAP}")  # noqa: S311 -- to be repeated
    reading = MAKERS[format].a_reading(rng)
    return Aim(reading, some_fields(rng), rng.random() < 0.5)


def made(format: FileFormat, seed: str, number: int) -> Made:
    """Make one file: of this seed and number it is always the same."""
    rng = Random(f"fuzz {format} {seed} {number}")  # noqa: S311 -- to be repeated
    return MAKERS[format].a_file(rng, aim(format, seed, number).reading)


@dataclass(kw_only=True)
class Account:
    """What became of all files."""

    #: Files by what became of them: read whole, in part, without any row, or cut off.
    files: Counter[str] = field(default_factory=Counter)
    #: Files of which it was known how many rows they have.
    counted: int = 0
    accepted_rows: int = 0
    refused_rows: int = 0
    #: Rows of the first that were promoted.
    promoted_rows: int = 0
    #: Why rows and files were refused, without what was particular.
    reasons: Counter[str] = field(default_factory=Counter)
    #: The most processor time that one file took, or the promotion of a heap; and which.
    slowest_seconds: float = 0.0
    slowest: int = 0
    seconds: float = 0.0
    #: After the first thousand files, and at the end.
    early_peak_bytes: int = 0
    peak_bytes: int = 0
    #: What went wrong, and with which file.
    failure: str | None = None
    failed: int = 0


class Memory:
    """A stored file that lies nowhere: what :class:`Upload` needs of ``Files``."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, _key: str, start: int, length: int) -> bytes:
        return self._content[start : start + length]


class Heap:
    """The files of one heap, read one by one."""

    def __init__(self, target: Aim, account: Account) -> None:
        self.order = an_order(target.reading, fields=target.fields, is_upsert=target.is_upsert)
        self._account = account
        self._target = target
        self._reader: promotion.Reader | None = None
        self._parts: list[Rows] = []
        self._row_count = 0
        self._flaw_count = 0
        #: Files that were not cut off.
        self._whole: list[bytes] = []
        try:
            self._reader = promotion._Checks(self.order).reader()
        except Refusal as refusal:
            account.reasons[str(refusal)] += HEAP

    def read(self, file: Made) -> None:
        """Read a file as a preview does, and as a promotion does; count its rows."""
        memory = Memory(file.content)
        sent = UploadedFile(path="made", key="made", size_bytes=len(file.content))
        try:
            shown = peek(
                PeekOrder(uploads=(sent,), reading=self._target.reading, row_count=10), memory
            )  # type: ignore[arg-type]
            assert all(0 <= column < len(shown.columns) for row in shown.rows for column in row)
        except Refusal:
            pass
        if self._reader is None:
            self._account.files["reading refused"] += 1
            return
        parts, end = list[Rows](), None
        try:
            for step in self._reader.work(Upload(memory, "made", len(file.content))):  # type: ignore[arg-type]
                parts.append(step.work())
        except FileRefused as refused:
            end = refused.flaw
        self._note(file, parts, end)

    def _note(self, file: Made, parts: Sequence[Rows], end: Flaw | None) -> None:
        """Hold a file to its numbers: each of its rows was accepted or refused, once."""
        account = self._account
        flaws = [flaw for part in parts for flaw in part.flaws]
        accepted = [number for part in parts for number in part.numbers.tolist()]
        numbers = sorted([*accepted, *(flaw.row for flaw in flaws)])
        assert accepted == sorted(accepted)
        assert len(accepted) == sum(part.table.num_rows for part in parts)
        assert len(set(numbers)) == len(numbers)
        if end is None:
            assert numbers == list(range(1, len(numbers) + 1))
        if file.row_count is not None:
            account.counted += 1
            assert len(numbers) == file.row_count or (end and not file.row_count), file.row_count
        for part in parts:
            _must_be_told(part)
        account.accepted_rows += len(accepted)
        account.refused_rows += len(flaws)
        account.reasons.update(_bare(flaw.message) for flaw in (*flaws, *filter(None, [end])))
        account.files[_what_became(accepted, flaws, end)] += 1
        for part in parts:
            self._parts.append(replace(part, numbers=part.numbers + self._row_count, flaws=()))
        self._row_count += len(numbers)
        if end is None:
            self._flaw_count += len(flaws)
            self._whole.append(file.content)

    def promote(self) -> None:
        """Promote all rows that were accepted, as those of one file."""
        if not self._row_count:
            return
        rows = together(self._parts)
        work = [("made", lambda: rows)]
        with (
            tempfile.TemporaryDirectory(dir=_memory()) as folder,
            mock.patch.object(promotion, "_uploads", return_value=iter(work)),
        ):
            promoted = promotion.promote(self.order, Files(Path(folder)), lambda _: None)
        assert not promoted.is_refused or not rows.table.num_rows
        assert promoted.input_row_count == rows.table.num_rows
        self._account.promoted_rows += promoted.output_row_count
        shares = promoted.output_row_count + promoted.failed_row_count
        assert shares == promoted.input_row_count or promoted.is_refused

    def promote_files(self) -> None:
        """Promote those files from disk that were not cut off: the same rows are counted."""
        if self._reader is None or not self._whole:
            return
        with tempfile.TemporaryDirectory(dir=_memory()) as folder:
            files = Files(Path(folder))
            order = self.order.model_copy(update={"uploads": tuple(_sent(files, self._whole))})
            promoted = promotion.promote(order, files, lambda _: None)
        fresh = Heap(self._target, Account())
        for content in self._whole:
            fresh.read(Made(content))
        told = fresh._account
        assert promoted.input_row_count == told.accepted_rows + told.refused_rows
        assert promoted.failed_row_count >= told.refused_rows


def _sent(files: Files, contents: Sequence[bytes]) -> Iterator[UploadedFile]:
    for number, content in enumerate(contents):
        key = f"upload-{number:05}"
        with files.create(key) as file:
            file.write(content)
        yield UploadedFile(path=key, key=key, size_bytes=len(content))


def _must_be_told(rows: Rows) -> None:
    """Whoever sent a row that was refused can be told which, and reads JSON."""
    lines = row_errors.told("made", rows, ())
    told = [json.loads(line)["_row"] for line in lines]
    assert told == sorted(flaw.row for flaw in rows.flaws)


def _what_became(accepted: Sequence[int], flaws: Sequence[Flaw], end: Flaw | None) -> str:
    if end is not None:
        return "cut off" if accepted or end.row > WHOLE_FILE else "refused"
    if not flaws:
        return "read whole"
    return "read in part" if accepted else "no row fits"


def _bare(message: str) -> str:
    """A reason without what is particular in it, for counting."""
    return "".join("0" if letter.isdigit() else letter for letter in message)[:100]


def _memory() -> Path | None:
    """Where files are no files of a disk: forcing them there is not what is tried here."""
    memory = Path("/dev/shm")  # noqa: S108
    return memory if memory.is_dir() else None


def _peak_bytes() -> int:
    """Tell the most memory this process ever held: getrusage counts what its parent held too."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fly(format: FileFormat, seed: str, count: int, progress: mmap.mmap) -> Account:
    """Read so many files; ``progress`` tells which one is being read."""
    account = Account()
    number, peak = 0, _peak_bytes()
    try:
        for first in range(0, count, HEAP):
            heap = Heap(aim(format, seed, first), account)
            for number in range(first, min(count, first + HEAP)):
                progress[:8] = number.to_bytes(8, "little")
                began_at = time.process_time()
                heap.read(made(format, seed, number))
                peak, before = _peak_bytes(), peak
                assert peak - before < MOST_GROWTH_BYTES
                _note_time(account, number, began_at)
            began_at = time.process_time()
            heap.promote()
            if first // HEAP % HEAPS_PER_WHOLE_WAY == 0:
                heap.promote_files()
            _note_time(account, number, began_at)
            if first < 10 * HEAP:
                account.early_peak_bytes = _peak_bytes()
    except Exception:  # noqa: BLE001 -- whatever it is, it is what was looked for
        account.failure, account.failed = traceback.format_exc(), number
    account.peak_bytes, account.seconds = _peak_bytes(), time.process_time()
    return account


def _note_time(account: Account, number: int, began_at: float) -> None:
    seconds = time.process_time() - began_at
    if seconds > account.slowest_seconds:
        account.slowest_seconds, account.slowest = seconds, number


def main(format: str, seed: str, count: str, progress: str) -> None:
    """Read files and print what became of them as JSON."""
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_DATA_BYTES, MOST_DATA_BYTES))
    out, sys.stdout = sys.stdout, sys.stderr
    with Path(progress).open("r+b") as file, mmap.mmap(file.fileno(), 8) as number:
        account = fly(FileFormat(format), seed, int(count), number)
    json.dump(vars(account), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
