"""Draws the rows of a workload, chunk by chunk and as whole columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from workload import COVERAGE, DOUBLES, ROW_GROUP, STRINGS, Batch, Identities, Parameters

WORDS = 20_000
NULL_SHARE = 0.4
REPEATED_SHARE = 0.01
HEAVY_SHARE = 0.1
LOGGED_IN_SHARE = 1 / 3
CHUNK = 4 * ROW_GROUP

INSTANT = pa.timestamp("us", tz="UTC")
BROWSERS = ["Chrome", "Safari", "Firefox", "Edge", "Opera", "Samsung Internet", "Brave", "Vivaldi"]
TYPES = ["web.pageView", "web.click", "commerce.productView", "commerce.cartAdd", "commerce.order"]


def words_of(seed: int) -> pa.Array:
    """Draw distinct words of 3 to 14 letters."""
    draw = np.random.default_rng([seed, 1])
    words: dict[str, None] = {}
    while len(words) < WORDS:
        letters = draw.integers(ord("a"), ord("z") + 1, int(draw.integers(3, 15)), dtype=np.uint8)
        words[letters.tobytes().decode()] = None
    return pa.array(list(words))


class RecordRows:
    """The rows of one record data set, each profile once, in the order of their time."""

    def __init__(self, parameters: Parameters, source: str) -> None:
        self._parameters = parameters
        self._number = list(COVERAGE).index(source)
        draw = np.random.default_rng([parameters.seed, 2, self._number])
        total = round(parameters.profiles * COVERAGE[source])
        self._profiles = draw.permutation(np.arange(parameters.profiles, dtype=np.int32))[:total]
        self._done = 0

    def chunks(self, batch: Batch, words: pa.Array) -> Iterator[pa.Table]:
        times = _Times(batch)
        for start in range(0, batch.rows, CHUNK):
            draw = np.random.default_rng([self._parameters.seed, 3, batch.ingest_number, start])
            count = min(CHUNK, batch.rows - start)
            profiles = self._profiles[self._done : self._done + count]
            self._done += count
            columns = _record_identities(self._parameters.identities, self._number, profiles)
            columns["time"] = times.draw(start, count, draw)
            columns["ingestedAt"] = _constant(batch.ingested_at, count)
            for name in STRINGS:
                columns[name] = _words_with_gaps(words, count, draw)
            columns["email"] = _emails(words, profiles, draw)
            for name in DOUBLES:
                columns[name] = pa.array(
                    draw.standard_normal(count) * 1000, mask=_gaps(count, draw)
                )
            yield pa.table(columns)


def _record_identities(
    identities: Identities, source: int, profiles: np.ndarray
) -> dict[str, pa.Array]:
    if identities is Identities.SINGLE:
        return {"id": _ids("c", profiles)}
    if identities is Identities.NAMESPACES:
        own = {"id": _ids("cls"[source], profiles)}
        return own if source == 0 else own | {"alias1": _ids("c", profiles)}
    count = _identity_counts(profiles)
    columns = {"id": _numbered_ids(profiles, source % count)}
    if source == 0:
        for alias in (1, 2, 3):
            has_alias = ~_is_linked_by_events(profiles) & (alias < count)
            column = _numbered_ids(profiles, np.full(len(profiles), alias))
            columns[f"alias{alias}"] = _masked(column, ~has_alias)
    return columns


class EventRows:
    """The rows of the event data set in the order of their time, a few of them sent twice."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        #: Profile, identity and id of events that may be sent again.
        self._sent = (np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, 16), np.uint8))

    def chunks(self, batch: Batch) -> Iterator[pa.Table]:
        times = _Times(batch)
        for start in range(0, batch.rows, CHUNK):
            draw = np.random.default_rng([self._parameters.seed, 4, batch.ingest_number, start])
            count = min(CHUNK, batch.rows - start)
            profiles = draw.integers(0, self._parameters.profiles, count, dtype=np.int32)
            if self._parameters.is_heavy:
                profiles[draw.random(count) < HEAVY_SHARE] = 0
            which = draw.integers(0, 4, count) % _identity_counts(profiles)
            ids = draw.integers(0, 256, (count, 16), dtype=np.uint8)
            self._repeat(profiles, which, ids, draw)
            yield pa.table(
                {
                    "_id": _uuids(ids),
                    **self._identities(profiles, which, draw),
                    "timestamp": times.draw(start, count, draw),
                    "ingestedAt": _constant(batch.ingested_at, count),
                    "eventType": _one_of(pa.array(TYPES), count, draw),
                    "browser": _one_of(pa.array(BROWSERS), count, draw),
                    "version": _one_of(_versions(), count, draw),
                    "url": _one_of(_urls(), count, draw),
                    "amount": pa.array(np.round(draw.gamma(2.0, 30.0, count), 2)),
                }
            )

    def _repeat(
        self, profiles: np.ndarray, which: np.ndarray, ids: np.ndarray, draw: np.random.Generator
    ) -> None:
        """Turn some rows of the second half into events that were sent before, changed since.

        Twice as many are noted as are repeated, so that some wait for a later batch.
        """
        half, repeated = len(profiles) // 2, round(len(profiles) * REPEATED_SHARE)
        noted = draw.choice(half, 2 * repeated, replace=False)
        fresh = (profiles[noted], which[noted], ids[noted])
        sent = [np.concatenate(pair) for pair in zip(self._sent, fresh, strict=True)]
        again = draw.choice(len(sent[0]), repeated, replace=False)
        rows = half + draw.choice(len(profiles) - half, repeated, replace=False)
        profiles[rows], which[rows], ids[rows] = (column[again] for column in sent)
        waiting = np.delete(np.arange(len(sent[0])), again)
        self._sent = (sent[0][waiting], sent[1][waiting], sent[2][waiting])

    def _identities(
        self, profiles: np.ndarray, which: np.ndarray, draw: np.random.Generator
    ) -> dict[str, pa.Array]:
        if self._parameters.identities is Identities.SINGLE:
            return {"id": _ids("c", profiles)}
        if self._parameters.identities is Identities.NAMESPACES:
            is_logged_in = draw.random(len(profiles)) < LOGGED_IN_SHARE
            customer = _masked(_ids("c", profiles), ~is_logged_in)
            return {"id": _ids("d", profiles), "alias1": customer}
        has_alias = _is_linked_by_events(profiles) & (which > 0)
        return {
            "id": _numbered_ids(profiles, which),
            "alias1": _masked(_ids("c", profiles), ~has_alias),
        }


class _Times:
    """Instants of the rows of a batch: rising, and no two alike."""

    def __init__(self, batch: Batch) -> None:
        self._since = int(batch.since.timestamp()) * 1_000_000 + batch.since.microsecond
        span = (batch.until - batch.since) // timedelta(microseconds=1)
        self._step = span // batch.rows

    def draw(self, start: int, count: int, draw: np.random.Generator) -> pa.Array:
        steps = np.arange(start, start + count, dtype=np.int64) * self._step
        within = draw.integers(0, self._step, count)
        return pa.array(self._since + steps + within, INSTANT)


def _identity_counts(profiles: np.ndarray) -> np.ndarray:
    """Every second profile has two to four identities, the others one."""
    return np.where(profiles % 2 == 1, 2 + profiles // 2 % 3, 1)


def _is_linked_by_events(profiles: np.ndarray) -> np.ndarray:
    """Half of those with several are linked by events only, the others by one data set."""
    return (profiles % 2 == 1) & (profiles // 6 % 2 == 0)


def _ids(letter: str, profiles: np.ndarray) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(profiles).cast(pa.string()), 9, "0")
    return pc.binary_join_element_wise(letter, digits, "")


def _numbered_ids(profiles: np.ndarray, which: np.ndarray) -> pa.Array:
    suffixes = pa.array(["", "-1", "-2", "-3"]).take(pa.array(which))
    return pc.binary_join_element_wise(_ids("c", profiles), suffixes, "")


def _uuids(ids: np.ndarray) -> pa.Array:
    """Spell 16 bytes a row as UUIDs, all rows at once."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = np.full((len(ids), 36), ord("-"), np.uint8)
    places = [place for place in range(36) if place not in {8, 13, 18, 23}]
    text[:, places[0::2]], text[:, places[1::2]] = digits[ids >> 4], digits[ids & 15]
    offsets = pa.py_buffer(np.arange(0, 36 * len(ids) + 1, 36, dtype=np.int32))
    return pa.StringArray.from_buffers(len(ids), offsets, pa.py_buffer(text.tobytes()))


def _emails(words: pa.Array, profiles: np.ndarray, draw: np.random.Generator) -> pa.Array:
    count = len(profiles)
    names = words.take(pa.array(draw.integers(0, WORDS, count)))
    numbers = pa.array(profiles).cast(pa.string())
    domains = _one_of(pa.array(["@example.com", "@example.org", "@mail.example"]), count, draw)
    emails = pc.binary_join_element_wise(names, ".", numbers, domains, "")
    return _masked(emails, _gaps(count, draw))


def _words_with_gaps(words: pa.Array, count: int, draw: np.random.Generator) -> pa.Array:
    return words.take(pa.array(draw.integers(0, WORDS, count), mask=_gaps(count, draw)))


def _one_of(values: pa.Array, count: int, draw: np.random.Generator) -> pa.Array:
    return values.take(pa.array(draw.integers(0, len(values), count)))


def _versions() -> pa.Array:
    return pa.array([f"{major}.{minor}" for major in range(90, 130) for minor in range(5)])


def _urls() -> pa.Array:
    return pa.array([f"https://shop.example/products/{number:06}" for number in range(50_000)])


def _gaps(count: int, draw: np.random.Generator) -> np.ndarray:
    return draw.random(count, np.float32) < NULL_SHARE


def _masked(column: pa.Array, is_null: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(is_null), pa.scalar(None, column.type), column)


def _constant(instant: datetime, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(instant, INSTANT), count)
