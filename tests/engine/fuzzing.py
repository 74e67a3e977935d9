"""Throws files at the readers of uploads: in a child of its own, so that a crash or a hang is seen.

A file must end as accepted rows or as a refusal, within seconds and within memory. How many are
thrown at least is said by the environment: ``FUZZ_INPUTS`` for each parser. When they are many,
files are thrown in heaps: each is parsed and checked alone, and what is not refused is written
together; and most are made by plain random numbers (``FUZZ_SEED``) in place of hypothesis, in a
volley. Both take a part of the time; a file that breaks something is named, not made smaller.
"""

from __future__ import annotations

import os
import pickle
import resource
import selectors
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, BinaryIO, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from catalog.errors import Refusal
from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field
from service.engine import promotion
from service.engine.orders import IdentityRules, PeekOrder, PromotionOrder, Reading, UploadedFile
from service.engine.peeking import peek
from service.engine.promotion import promote
from service.storage.files import Files
from tests.engine.intake import (
    DAY,
    FLAG,
    LONG,
    NUMBER,
    SECRET,
    TEXT,
    TIME,
    a_list,
    a_map,
    an_object,
    identity,
)

INPUTS = int(os.environ.get("FUZZ_INPUTS", "180"))
SEED = os.environ.get("FUZZ_SEED", "1")
#: Each parser has three tests by hypothesis, and a volley.
_TESTS = 3
_MOST_EXAMPLES = 1_000
EXAMPLES = min(-(-INPUTS // _TESTS), _MOST_EXAMPLES)
VOLLEY = max(INPUTS - _TESTS * EXAMPLES, 50)
#: Files that are thrown at a time.
HEAP = 100 if INPUTS > 1_000 else 1
#: Of a volley, that are read alike.
ALIKE = 50
#: No input here is larger than a few kilobytes. Longer than this on an idle machine is a hang.
PATIENCE_SECONDS = float(os.environ.get("FUZZ_PATIENCE", "60"))
#: Of processor time, for one throw of files as small as those that are made up.
MOST_SECONDS = 5.0
MOST_MEMORY_BYTES = 1 << 30

FIELDS = (
    Field("crm", TEXT),
    Field("count", LONG),
    Field("ratio", NUMBER),
    Field("flag", FLAG),
    Field("day", DAY),
    Field("at", TIME),
    an_object("person", an_object("name", Field("first", TEXT, is_required=True))),
    a_list("tags", Field("", TEXT)),
    a_list("items", an_object("", Field("sku", TEXT), Field("price", NUMBER))),
    a_map("notes", TEXT),
    IDENTITY_MAP,
    SEGMENT_MEMBERSHIP,
)

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Thrown(NamedTuple):
    """What became of one file, or of several together."""

    outcome: str  # "accepted", "refused", or the trace of what was raised
    input_rows: int = 0
    output_rows: int = 0
    #: The most this child ever held.
    peak_bytes: int = 0
    #: Of processor time.
    seconds: float = 0.0


class Edit(NamedTuple):
    """One change of a file."""

    kind: str
    #: Where, as a share of the file's length.
    at: float
    data: bytes


edits = st.lists(
    st.builds(
        Edit,
        st.sampled_from(["overwrite", "insert", "delete", "repeat", "cut", "flip"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from([b"\0", b'"', b"\\", b"{", b"[", b"}", b"]", b",", b"\n", b"\r\n"]),
            st.sampled_from(
                [b"\xff\xff\xff\x7f", b"\x80" * 9 + b"\x01", b"\xef\xbb\xbf", b"1e999"]
            ),
        ),
    ),
    max_size=6,
)


def edited(content: bytes, changes: list[Edit]) -> bytes:
    """Change a file here and there."""
    for change in changes:
        at = int(change.at * len(content))
        before, data, after = content[:at], change.data, content[at:]
        content = {
            "overwrite": before + data + after[len(data) :],
            "insert": before + data + after,
            "delete": before + after[len(data) :],
            "repeat": before + after[: len(data) * 8] * 3 + after,
            "cut": before,
            "flip": before + bytes(byte ^ data[0] for byte in after[:1]) + after[1:],
        }[change.kind]
    return content


_PIECES = [
    *(b"\0", b'"', b"\\", b"{", b"[", b"}", b"]", b",", b"\n", b"\r\n"),
    *(b"\xff\xff\xff\x7f", b"\x80" * 9 + b"\x01", b"\xef\xbb\xbf", b"1e999"),
]
_KINDS = ("overwrite", "insert", "delete", "repeat", "cut", "flip")


def edited_by_chance(content: bytes, rng: Random) -> bytes:
    """Change a file here and there, as :func:`edited` does."""
    return edited(
        content,
        [
            Edit(
                rng.choice(_KINDS),
                rng.random(),
                rng.choice(_PIECES) if rng.random() < 0.5 else rng.randbytes(rng.randint(1, 8)),
            )
            for _ in range(rng.randint(0, 6))
        ],
    )


@dataclass
class Thrower:
    """A child that reads files, started anew when it died."""

    child: subprocess.Popen[bytes] | None = None
    heap: list[bytes] = field(default_factory=list)
    #: How all files of the heap are read.
    reading: Reading | None = None
    #: Files that were thrown since this was made.
    count: int = 0

    def throw(self, contents: Sequence[bytes], reading: Reading) -> Thrown:
        """Have files read, or say how that broke down."""
        if self.child is None or self.child.poll() is not None:
            self.child = subprocess.Popen(
                [sys.executable, "-c", "from tests.engine import fuzzing; fuzzing.main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        _send(self.child.stdin, (contents, reading))
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE_SECONDS):
                self.close()
                return Thrown(f"no answer within {PATIENCE_SECONDS} s")
        answer = _receive(self.child.stdout)
        return answer if answer is not None else Thrown(f"the child died: {self.child.wait()}")

    def check(self, content: bytes, reading: Reading) -> Thrown:
        """Throw a file; it must end as it may."""
        self.count += 1
        thrown = self.throw([content], reading)
        _must_be_well(thrown)
        return thrown

    def heap_up(self, content: bytes, reading: Reading) -> None:
        """Throw a small file, now or with others. All of them must end as they may."""
        if self.reading != reading:
            self.flush()
        self.reading = reading
        self.heap.append(content)
        if len(self.heap) >= HEAP:
            self.flush()

    def volley(self, make: Callable[[Random], bytes], read: Callable[[Random], Reading]) -> None:
        """Throw as many files as are to be made by chance, some of which are read alike."""
        rng = Random(f"fuzz {SEED}")  # noqa: S311 -- to be the same for the same seed
        for number in range(VOLLEY):
            if number % ALIKE == 0:
                reading = read(rng)
            self.heap_up(make(rng), reading)

    def flush(self) -> None:
        """Throw what was heaped up."""
        heap, self.heap = self.heap, []
        if not heap:
            return
        assert self.reading is not None
        self.count += len(heap)
        try:
            thrown = self.throw(heap, self.reading)
            _must_be_well(thrown)
            assert thrown.seconds < MOST_SECONDS
        except AssertionError as together:
            for content in heap if len(heap) > 1 else ():
                try:
                    _must_be_well(self.throw([content], self.reading))
                except AssertionError as alone:
                    raise AssertionError(f"{content!r} read as {self.reading}") from alone
            raise AssertionError(f"{heap!r} read as {self.reading}") from together

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.communicate()
            self.child = None


def _must_be_well(thrown: Thrown) -> None:
    assert thrown.outcome in {"accepted", "refused"}, thrown.outcome
    assert thrown.output_rows <= thrown.input_rows
    assert thrown.peak_bytes < MOST_MEMORY_BYTES


@contextmanager
def thrower() -> Iterator[Thrower]:
    found = Thrower()
    try:
        yield found
        found.flush()
        print(f"{found.count} files were thrown")  # noqa: T201 -- what ``make fuzz`` is asked for
    finally:
        found.close()


def _send(pipe: BinaryIO | Any, message: object) -> None:
    body = pickle.dumps(message)
    pipe.write(struct.pack(">I", len(body)) + body)
    pipe.flush()


def _receive(pipe: BinaryIO | Any) -> Any:
    head = pipe.read(4)
    if len(head) < 4:
        return None
    return pickle.loads(pipe.read(struct.unpack(">I", head)[0]))  # noqa: S301 -- our own child


def _read(root: Path, contents: Sequence[bytes], reading: Reading) -> Thrown:
    files = Files(root)
    uploads = [_upload(files, number, content) for number, content in enumerate(contents)]
    for upload in uploads:
        with suppress(Refusal):
            peek(PeekOrder(uploads=(upload,), reading=reading, row_count=10), files)
    order = PromotionOrder(
        folder="promoted",
        uploads=tuple(uploads),
        reading=reading,
        is_event=False,
        fields=tuple(field.to_json() for field in FIELDS),
        identities=(identity("crm", "CRM", primary=True),),
        unlinked_namespaces=(),
        for_profile=True,
        is_upsert=False,
        secret=SECRET,
        tolerated_percentage=100,
        with_diagnostics=True,
        identity_rules=IdentityRules(ecid_digits=38, most_per_row=20, codes={"4": "ECID"}),
        threads=1,
    )
    try:
        if len(uploads) > 1:
            whole = [upload for upload in uploads if _is_whole(order, upload, files)]
            order = order.model_copy(update={"uploads": tuple(whole)})
        promoted = promote(order, files, lambda _: None)
    except Refusal:
        return Thrown("refused")
    return Thrown(
        "refused" if promoted.is_refused else "accepted",
        input_rows=promoted.input_row_count,
        output_rows=promoted.output_row_count,
    )


def _upload(files: Files, number: int, content: bytes) -> UploadedFile:
    key = f"upload-{number}"
    with files.create(key) as file:
        file.write(content)
    return UploadedFile(path=key, key=key, size_bytes=len(content))


def _is_whole(order: PromotionOrder, upload: UploadedFile, files: Files) -> bool:
    """Parse and check a file alone. One that ends early would end the batch for all others."""
    alone = order.model_copy(update={"uploads": (upload,)})
    checks = promotion._Checks(alone)
    pace = promotion._Pace(lambda _: None, "reading", upload.size_bytes)
    pieces = promotion._uploads(alone, files, checks, pace)
    flaws = [flaw for piece in pieces for flaw in checks.check(piece).rows.flaws]
    return not any(flaw.ends_file for flaw in flaws)


def main() -> None:
    """Read files from standard input until it ends."""
    pipe_in, pipe_out = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    memory = Path("/dev/shm")  # noqa: S108 -- forcing to disk is not what is tried here
    while (message := _receive(pipe_in)) is not None:
        folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        began_at = time.process_time()
        try:
            thrown = _read(folder, *message)
        except Exception:  # noqa: BLE001 -- whatever it is, it is what was looked for
            thrown = Thrown(traceback.format_exc())
        finally:
            shutil.rmtree(folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        seconds = time.process_time() - began_at
        _send(pipe_out, thrown._replace(peak_bytes=peak, seconds=seconds))
