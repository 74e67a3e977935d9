"""Large files: sent in chunks, in any order; whole once no byte is missing and none came twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from catalog.errors import Invalid

#: More bytes than a file of ours can have: 8 PiB, the most that is exact in every client's numbers.
MOST_BYTES = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Some bytes of a file, at least one, and how many it will have if the sender knows."""

    first_byte: int
    size_bytes: int
    total_bytes: int | None = None

    @property
    def end(self) -> int:
        """The place after its last byte."""
        return self.first_byte + self.size_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One span of a large file that has come. A repeat from the same byte on replaces it."""

    span: Span
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeFile:
    """One large file while it is being sent, and after."""

    path: str
    #: Its chunks were joined: it is an upload like any other, and has none any more.
    is_complete: bool
    #: By their first bytes, which all differ.
    chunks: tuple[Chunk, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        return tuple(chunk.span for chunk in self.chunks)


def received(spans: Sequence[Span]) -> tuple[Span, ...]:
    """What has come of a file, as few spans as can say it, in their order."""
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: span.first_byte):
        start, end = span.first_byte, span.end
        if joined and start <= joined[-1].end:
            before = joined.pop()
            start, end = before.first_byte, max(before.end, end)
        joined.append(Span(first_byte=start, size_bytes=end - start))
    return tuple(joined)


def whole_size(file: LargeFile) -> int:
    """How many bytes a file has; refuses one whose chunks do not make it up exactly."""
    totals = {span.total_bytes for span in file.spans if span.total_bytes is not None}
    if len(totals) > 1:
        raise Invalid(f"file {file.path}: its chunks announce {sorted(totals)} bytes in all")
    at = 0
    for span in file.spans:
        if span.first_byte > at:
            raise Invalid(f"file {file.path}: bytes {at}-{span.first_byte - 1} are missing")
        if span.first_byte < at:
            twice = f"bytes {span.first_byte}-{min(at, span.end) - 1} were sent in two chunks"
            raise Invalid(f"file {file.path}: {twice}: send it anew, from INITIALIZE on")
        at = span.end
    if at != max(totals, default=at) or not file.chunks:
        end = max(totals) - 1 if totals else ""
        raise Invalid(f"file {file.path}: bytes {at}-{end} are missing")
    return at
