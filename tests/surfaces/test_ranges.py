"""Byte ranges agree with slicing, whatever is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.surfaces.ranges import Span, Unsatisfiable, asked_span

CONTENT = st.binary(max_size=40)
PLACE = st.integers(0, 60)


def taken(content: bytes, header: str | None) -> bytes | None:
    """What a reader gets: some bytes, or None when the range cannot be had."""
    try:
        span = asked_span(header, len(content))
    except Unsatisfiable:
        return None
    return content if span is None else content[span.start : span.start + span.length]


@given(CONTENT, PLACE, PLACE)
def test_a_range_is_the_slice_from_first_to_last(content, first, last):
    if last < first:
        assert taken(content, f"bytes={first}-{last}") == content
    else:
        assert taken(content, f"bytes={first}-{last}") == (content[first : last + 1] or None)


@given(CONTENT, PLACE)
def test_an_open_range_is_the_slice_to_the_end(content, first):
    assert taken(content, f"bytes={first}-") == (content[first:] or None)


@given(CONTENT, PLACE)
def test_a_suffix_range_is_the_last_bytes(content, length):
    suffix = content[max(len(content) - length, 0) :] if length else b""
    assert taken(content, f"bytes=-{length}") == (suffix or None)


@given(CONTENT, st.text())
def test_what_is_no_range_is_ignored(content, noise):
    assert taken(content, f"bites={noise}") == content
    assert taken(content, None) == content


@given(CONTENT, st.text(st.sampled_from("bytes=0123456789-, \t"), max_size=20))
def test_no_header_yields_bytes_outside_the_file(content, header):
    try:
        span = asked_span(header, len(content))
    except Unsatisfiable:
        return
    if span is not None:
        assert span.length >= 1
        assert 0 <= span.start <= span.start + span.length <= len(content)


@pytest.mark.parametrize(
    "header",
    ["bytes=", "bytes=-", "bytes=5", "bytes=a-b", "bytes=0-1,3-4", "bytes 0-1", "bytes=0--1"],
)
def test_malformed_and_multiple_ranges_are_ignored(header):
    assert asked_span(header, 10) is None


def test_the_unit_is_matched_without_regard_to_case_and_numbers_may_be_huge():
    assert asked_span("Bytes=2-99999999999999999999999", 10) == Span(2, 8)
    assert asked_span("bytes=-99999999999999999999999", 10) == Span(0, 10)
