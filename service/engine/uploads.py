"""Reads uploaded files piece by piece, so that what was read is not held."""

from __future__ import annotations

import io

from service.storage.files import Files


class Upload(io.RawIOBase):
    """One uploaded file. A mapped one would count as memory of the process once it is read."""

    def __init__(self, files: Files, key: str, size_bytes: int) -> None:
        self._files = files
        self._key = key
        self._position = 0
        self.size_bytes = size_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size_bytes}
        self._position = start[whence] + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Give as many bytes as are asked for, fewer only at the end."""
        left = self.size_bytes - self._position
        data = self._files.read(self._key, self._position, left if size < 0 else min(size, left))
        self._position += len(data)
        return data
