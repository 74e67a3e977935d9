"""Throws files at the readers of uploads: in a child of its own, so that a crash or a hang is seen.

A file must end as accepted rows or as a refusal, within seconds and within memory. Hypothesis makes
those files here, and makes them smaller when they break something; many more are thrown by
:mod:`tests.engine.volleys`, which takes a part of the time for each.
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
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from catalog.errors import Refusal
from service.engine.orders import PeekOrder, Reading, UploadedFile
from service.engine.peeking import peek
from service.engine.promotion import promote
from service.storage.files import Files
from tests.engine.made_files import an_order
from tests.patience import PATIENCE_SECONDS

#: Files that hypothesis makes for one test; those that many are asked for come from a volley.
EXAMPLES = 300 if "FUZZ_INPUTS" in os.environ else 60
MOST_MEMORY_BYTES = 1 << 30

fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Thrown(NamedTuple):
    """What became of one file."""

    outcome: str  # "accepted", "refused", or the trace of what was raised
    input_rows: int = 0
    output_rows: int = 0
    #: The most this child ever held.
    peak_bytes: int = 0


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


@dataclass
class Thrower:
    """A child that reads files, started anew when it died."""

    child: subprocess.Popen[bytes] | None = None

    def throw(self, content: bytes, reading: Reading) -> Thrown:
        """Have a file read, or say how that broke down."""
        if self.child is None or self.child.poll() is not None:
            self.child = subprocess.Popen(
                [sys.executable, "-c", "from tests.engine import fuzzing; fuzzing.main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        _send(self.child.stdin, (content, reading))
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.stdout, selectors.EVENT_READ)
            if not selector.select(PATIENCE_SECONDS):
                self.close()
                return Thrown(f"no answer within {PATIENCE_SECONDS} s")
        answer = _receive(self.child.stdout)
        return answer if answer is not None else Thrown(f"the child died: {self.child.wait()}")

    def check(self, content: bytes, reading: Reading) -> Thrown:
        """Throw a file; it must end as it may."""
        thrown = self.throw(content, reading)
        assert thrown.outcome in {"accepted", "refused"}, thrown.outcome
        assert thrown.output_rows <= thrown.input_rows
        assert thrown.peak_bytes < MOST_MEMORY_BYTES
        return thrown

    def close(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.communicate()
            self.child = None


@contextmanager
def thrower() -> Iterator[Thrower]:
    found = Thrower()
    try:
        yield found
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


def _read(root: Path, content: bytes, reading: Reading) -> Thrown:
    files = Files(root)
    with files.create("upload") as file:
        file.write(content)
    upload = UploadedFile(path="upload", key="upload", size_bytes=len(content))
    with suppress(Refusal):
        peek(PeekOrder(uploads=(upload,), reading=reading, row_count=10), files)
    try:
        promoted = promote(an_order(reading, [upload]), files, lambda _: None)
    except Refusal:
        return Thrown("refused")
    return Thrown(
        "refused" if promoted.is_refused else "accepted",
        input_rows=promoted.input_row_count,
        output_rows=promoted.output_row_count,
    )


def main() -> None:
    """Read files from standard input until it ends."""
    pipe_in, pipe_out = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    memory = Path("/dev/shm")  # noqa: S108 -- forcing to disk is not what is tried here
    while (message := _receive(pipe_in)) is not None:
        folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        try:
            thrown = _read(folder, *message)
        except Exception:  # noqa: BLE001 -- whatever it is, it is what was looked for
            thrown = Thrown(traceback.format_exc())
        finally:
            shutil.rmtree(folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        _send(pipe_out, thrown._replace(peak_bytes=peak))
