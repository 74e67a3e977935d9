"""Files on the local disk: complete under their name, or not there at all."""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from catalog.errors import NotFound

if sys.platform == "linux":
    _libc = ctypes.CDLL(None, use_errno=True)
    _madvise = _libc.madvise
    _madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    _DONTNEED = 4  # MADV_DONTNEED, <sys/mman.h>; pages of a file are only forgotten, never lost
    _sync_file_range = _libc.sync_file_range
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    _BEGIN = 2  # SYNC_FILE_RANGE_WRITE, <fcntl.h>: waits for nothing and promises nothing

#: Written bytes that the disk is asked to begin with: so that at the end it has little left to do,
#: and whoever writes has not waited for it. A guess: some milliseconds of a disk's work.
_BEGIN_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A file that is on disk, whole, and will survive a loss of power."""

    key: str
    size_bytes: int
    sha256: str


class Writing:
    """A file while it is being written; hashes what passes through.

    Looks enough like a binary file for :class:`pyarrow.PythonFile` and for ``shutil``.
    """

    def __init__(self, key: str, file: BinaryIO, *, descriptor: int | None = None) -> None:
        """Write to a file; of one that lies on a disk the descriptor."""
        self.key = key
        self.size_bytes = 0
        self._file = file
        self._descriptor = descriptor
        self._begun_bytes = 0
        self._hash = hashlib.sha256()

    closed = False

    def write(self, data: bytes | memoryview) -> int:
        rest = memoryview(data).cast("B")
        self._hash.update(rest)
        while rest.nbytes:
            # A disk that is nearly full takes a part and says so; so does Linux beyond 2 GiB.
            taken = self._file.write(rest)
            self.size_bytes += taken
            rest = rest[taken:]
        self._begin()
        return len(data)

    def _begin(self) -> None:
        """Have the disk begin, without waiting for it; what fails is told when it is waited for."""
        waiting_bytes = self.size_bytes - self._begun_bytes
        if self._descriptor is None or waiting_bytes < _BEGIN_BYTES:
            return
        if sys.platform == "linux":
            _sync_file_range(self._descriptor, self._begun_bytes, waiting_bytes, _BEGIN)
        self._begun_bytes = self.size_bytes

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Do nothing: the file is closed by whoever creates it."""

    def tell(self) -> int:
        return self.size_bytes

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def written(self) -> Written:
        """What lies under the key; asked after the ``with`` block of :meth:`Files.create`."""
        return Written(key=self.key, size_bytes=self.size_bytes, sha256=self._hash.hexdigest())


class Mapped(pa.BufferReader):  # type: ignore[misc]  # pyarrow tells no types
    """A stored file, mapped into memory whole; may be read by one thread at a time."""

    def __init__(self, buffer: pa.Buffer) -> None:
        super().__init__(buffer)
        self._buffer = buffer

    def let_go(self) -> None:
        """Give back the memory of what was read so far.

        Whatever was made of it stays good: the kernel brings a page back when it is looked at.
        """
        if sys.platform == "linux" and self._buffer.size:
            _madvise(self._buffer.address, self._buffer.size, _DONTNEED)


class Files:
    """Stored files by key, under one folder of the local disk."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def create(self, key: str) -> Iterator[Writing]:
        """Write a new file. It appears under its key when the block ends, or never.

        Data, then name, then folder are forced to disk before the block is left, so a row that
        names the key may be written right after.
        """
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        try:
            with partial.open("xb", buffering=0) as file:
                yield Writing(key, file, descriptor=file.fileno())
                os.fsync(file.fileno())
            if target.exists():
                raise FileExistsError(key)
            partial.rename(target)
            _sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def create_passing(self, key: str) -> Iterator[pa.NativeFile]:
        """Write a new file that nobody needs after a loss of power; it is not forced to the disk.

        It appears under its key when the block ends, or never. Whoever looks for it later has to
        ask :func:`this_boot` whether the machine has been running ever since.
        """
        target = self._path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
        try:
            with pa.OSFile(str(partial), "wb") as file:
                yield file
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)

    def open(self, key: str) -> Mapped:
        """Open a stored file for random reading, mapped into memory.

        The mapping outlives its descriptor: a merge has every file of a snapshot open at once in
        each thread, and a few hundred small batches are more files than a process may hold.
        """
        try:
            with pa.memory_map(str(self._path(key))) as mapped:
                return Mapped(mapped.read_buffer())
        except FileNotFoundError:
            raise NotFound("stored file", key) from None

    def read(self, key: str, start: int, length: int) -> bytes:
        """Return at most ``length`` bytes from ``start``."""
        with self._path(key).open("rb") as file:
            return os.pread(file.fileno(), length, start)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def delete(self, key: str) -> bool:
        """Remove a file and say whether there was one; it is no error when there was none."""
        try:
            self._path(key).unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Every stored key below a folder, unfinished files left out."""
        for path in sorted(self._path(prefix).rglob("*")):
            if path.is_file() and not path.name.endswith(".partial"):
                yield path.relative_to(self.root).as_posix()

    def below(self, folder: str) -> Iterator[str]:
        """Every file below a folder, unfinished ones and those of scratch folders included."""
        for path in sorted(self._path(folder).rglob("*")):
            if not path.is_dir():
                yield path.relative_to(self.root).as_posix()

    def tidy(self, folder: str) -> None:
        """Remove the empty folders below one, and itself when it is empty."""
        top = self._path(folder)
        for path, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):  # it is not empty, or somebody was quicker
                Path(path).rmdir()

    @contextmanager
    def scratch(self, folder: str) -> Iterator[Path]:
        """A place for one process to spill to; gone, with all in it, when the block ends.

        It lies below the folder of an attempt, so that what a killed process leaves is swept.
        """
        top = self._path(folder)
        top.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".scratch-", dir=top) as scratch:
            yield Path(scratch)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if key and any(part in {"", ".", ".."} for part in parts):
            raise ValueError(f"not a key: {key!r}")
        return self.root.joinpath(*parts)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def this_boot() -> str | None:
    """Name the time since the machine was started; null where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
