"""Large files: which chunks make one up, and what has come of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import Invalid
from catalog.large_files import Chunk, LargeFile, Span, received, whole_size


def a_file(*chunks):
    spans = [Span(first_byte=a, size_bytes=b - a, total_bytes=total) for a, b, total in chunks]
    return LargeFile(
        path="f",
        is_complete=False,
        chunks=tuple(Chunk(span=span, key="k") for span in spans),
    )


def came(*spans):
    found = received([Span(first_byte=a, size_bytes=b - a) for a, b in spans])
    return [(span.first_byte, span.end) for span in found]


@given(st.sets(st.integers(1, 1000), min_size=1), st.booleans())
def test_chunks_that_follow_one_another_make_up_a_file(ends, is_announced):
    total = max(ends) if is_announced else None
    cuts = [0, *sorted(ends)]
    file = a_file(*((a, b, total) for a, b in pairwise(cuts)))
    assert whole_size(file) == max(ends)
    assert [(span.first_byte, span.end) for span in received(file.spans)] == [(0, max(ends))]


@pytest.mark.parametrize(
    ("chunks", "said"),
    [
        ([], "bytes 0- are missing"),
        ([(5, 9, None)], "bytes 0-4 are missing"),
        ([(0, 5, None), (6, 9, None)], "bytes 5-5 are missing"),
        ([(0, 5, 9)], "bytes 5-8 are missing"),
        ([(0, 5, None), (4, 9, None)], "bytes 4-4 were sent in two chunks"),
        ([(0, 9, 9), (2, 4, 9)], "bytes 2-3 were sent in two chunks"),
        ([(0, 5, 9), (5, 8, 8)], r"announce \[8, 9\] bytes"),
    ],
)
def test_a_file_with_gaps_or_overlaps_is_no_file(chunks, said):
    with pytest.raises(Invalid, match=said):
        whole_size(a_file(*chunks))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=12))
def test_what_has_come_is_said_in_as_few_spans_as_can_be(chunks):
    found = came(*((a, a + size) for a, size in chunks))
    bytes_come = {byte for a, size in chunks for byte in range(a, a + size)}
    assert {byte for a, b in found for byte in range(a, b)} == bytes_come
    assert all(end < start for (_, end), (start, _) in pairwise(found))
