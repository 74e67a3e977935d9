"""Identity keys: what they depend on, and what they do not."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pytest

from service.engine.identity_keys import fingerprint, keys

SECRET = bytes(range(32))


def _key(namespace: str, value: str, secret: bytes = SECRET) -> tuple[int, int]:
    high, low = keys(namespace, pa.array([value]), secret)
    return int(high[0]), int(low[0])


def test_a_key_is_the_keyed_hash_of_the_length_prefixed_namespace_and_the_value() -> None:
    hashed = blake2b(b"\x05\x00\x00\x00crmid" + "Zoë".encode(), digest_size=16, key=SECRET)
    expected = int.from_bytes(hashed.digest(), "big")
    high, low = _key("crmid", "Zoë")
    assert high << 64 | low == expected


def test_equal_values_have_equal_keys_in_the_order_of_the_rows() -> None:
    high, low = keys("email", pa.array(["b", "a", "b", ""]), SECRET)
    assert high.dtype == low.dtype == np.uint64
    assert (high[0], low[0]) == (high[2], low[2]) == _key("email", "b")
    assert (high[1], low[1]) == _key("email", "a")
    assert len({*zip(high.tolist(), low.tolist(), strict=True)}) == 3


def test_the_boundary_between_namespace_and_value_counts() -> None:
    assert _key("ab", "c") != _key("a", "bc")


def test_another_secret_gives_other_keys_and_another_fingerprint() -> None:
    assert _key("crmid", "1") != _key("crmid", "1", bytes(32))
    assert fingerprint(SECRET) != fingerprint(bytes(32))
    assert len(fingerprint(SECRET)) == 16


def test_values_are_case_sensitive() -> None:
    assert _key("email", "A@example.com") != _key("email", "a@example.com")


def test_slices_chunks_and_large_strings_hash_alike() -> None:
    values = pa.array(["x", "a", "b", "c"])
    expected = [part.tolist() for part in keys("n", pa.array(["a", "b", "c"]), SECRET)]
    chunked = pa.chunked_array([["a"], ["b", "c"]])
    for same in (values[1:], chunked, values[1:].cast(pa.large_string())):
        assert [part.tolist() for part in keys("n", same, SECRET)] == expected


def test_no_values_have_no_keys() -> None:
    high, low = keys("n", pa.array([], pa.string()), SECRET)
    assert (high.size, low.size) == (0, 0)


def test_a_null_is_refused() -> None:
    with pytest.raises(ValueError, match="no identity"):
        keys("n", pa.array(["a", None]), SECRET)
