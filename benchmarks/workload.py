"""Makes the data that the benchmark measures: raw Parquet files as a user would have them.

The same files are read by the peers and uploaded to the service. All is drawn from seeded
generators, chunk by chunk, so that memory stays flat however many profiles are asked for; a
workload that was made once is found again by its parameters.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

#: Raised whenever other bytes are made from the same parameters.
FORMAT = 1
SEED = 20_240_601
WORDS = 20_000
STRINGS = tuple(f"s{number}" for number in range(14))
DOUBLES = tuple(f"n{number}" for number in range(5))
#: The fields of a record that are merged.
FIELDS = (*STRINGS, "email", *DOUBLES)
#: The fields of an event that are exported.
EVENT_FIELDS = ("timestamp", "browser", "version")
NULL_SHARE = 0.4
EVENTS_PER_PROFILE = 10
REPEATED_SHARE = 0.01
HEAVY_SHARE = 0.1
#: The share of profiles each record data set covers.
COVERAGE = {"records_a": 1.0, "records_b": 0.9, "records_c": 0.8}
EVENTS = "events"
#: The row group size DuckDB and others choose: fine enough for two threads on small workloads.
ROW_GROUP = 131_072
CHUNK = 4 * ROW_GROUP

START = datetime(2024, 3, 1, tzinfo=UTC)
SPAN = timedelta(days=96)
INSTANT = pa.timestamp("us", tz="UTC")
BROWSERS = ["Chrome", "Safari", "Firefox", "Edge", "Opera", "Samsung Internet", "Brave", "Vivaldi"]
TYPES = ["web.pageView", "web.click", "commerce.productView", "commerce.cartAdd", "commerce.order"]


class Identities(StrEnum):
    """By which identities the rows of one profile are known."""

    SINGLE = "single"  # every row of a profile has the same one
    LINKED = "linked"  # half of the profiles have 2 to 4, linked by events only or by one data set
    NAMESPACES = "namespaces"  # every source is keyed by a namespace of its own


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a workload is made from."""

    profiles: int
    identities: Identities = Identities.SINGLE
    #: How many batches each record data set has, and the events.
    record_batches: int = 8
    event_batches: int = 3
    #: One identity holds a tenth of all events.
    is_heavy: bool = False
    seed: int = SEED

    @property
    def name(self) -> str:
        heavy = "-heavy" if self.is_heavy else ""
        batches = 3 * self.record_batches + self.event_batches
        return f"v{FORMAT}-{self.profiles}-{self.identities}-{batches}{heavy}-{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch of one source: a file, as it was sent."""

    source: str
    path: str
    ingest_number: int
    ingested_at: datetime
    #: The times of its rows lie from here ...
    since: datetime
    #: ... to here.
    until: datetime
    rows: int


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A column that names an identity, and its namespace."""

    column: str
    namespace: str
    is_primary: bool


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A workload that lies on the disk. Batches are in the order of their ingest numbers."""

    folder: Path
    parameters: Parameters
    batches: tuple[Batch, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        return (*COVERAGE, EVENTS)

    def files(self, *sources: str) -> list[str]:
        """Give the raw files of some sources, in the order in which they came."""
        return [str(self.folder / b.path) for b in self.batches if b.source in sources]

    def identities(self, source: str) -> tuple[Identity, ...]:
        """Say which columns of a source hold identities, the primary one first."""
        return identities_of(self.parameters.identities, source)

    @property
    def events_after(self) -> datetime:
        """The ingest time after which events are exported: the last two thirds of the batches."""
        batches = [batch for batch in self.batches if batch.source == EVENTS]
        return batches[len(batches) // 3 - 1].ingested_at


def identities_of(identities: Identities, source: str) -> tuple[Identity, ...]:
    """Say which columns of a source hold identities, the primary one first."""
    if identities is Identities.NAMESPACES:
        own = {"records_a": "CRMID", "records_b": "Loyalty", "records_c": "Shop", EVENTS: "Device"}
        primary = Identity(column="id", namespace=own[source], is_primary=True)
        if source == "records_a":
            return (primary,)
        return (primary, Identity(column="alias1", namespace="CRMID", is_primary=False))
    primary = Identity(column="id", namespace="CRMID", is_primary=True)
    aliases = 0
    if identities is Identities.LINKED:
        aliases = {"records_a": 3, EVENTS: 1}.get(source, 0)
    return (
        primary,
        *(
            Identity(column=f"alias{number}", namespace="CRMID", is_primary=False)
            for number in range(1, aliases + 1)
        ),
    )


def make(parameters: Parameters, scratch: Path) -> Workload:
    """Make a workload below ``scratch``, or find the one that was made from these parameters."""
    folder = scratch / parameters.name
    if not (folder / "workload.json").exists():
        partial = scratch / f".{parameters.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        batches = [asdict(batch) for batch in _write(parameters, partial)]
        document = {"parameters": asdict(parameters), "batches": batches}
        text = json.dumps(document, indent=1, default=datetime.isoformat)
        (partial / "workload.json").write_text(text)
        partial.rename(folder)
    return load(folder)


def load(folder: Path) -> Workload:
    """Read what is known of a workload that was made."""
    document = json.loads((folder / "workload.json").read_text())
    parameters = document["parameters"]
    parameters["identities"] = Identities(parameters["identities"])
    return Workload(
        folder=folder,
        parameters=Parameters(**parameters),
        batches=tuple(_batch(batch) for batch in document["batches"]),
    )


def _batch(document: dict[str, Any]) -> Batch:
    instants = ("ingested_at", "since", "until")
    return Batch(**document | {name: datetime.fromisoformat(document[name]) for name in instants})


def _write(parameters: Parameters, folder: Path) -> Iterator[Batch]:
    """Write all batches; yield them in the order in which the service is to ingest them."""
    planned = sorted(
        (*_record_batches(parameters), *_event_batches(parameters)),
        key=lambda batch: batch.ingested_at,
    )
    words = _words(parameters.seed)
    covered = {source: _Covered(parameters, source) for source in COVERAGE}
    events = _EventRows(parameters)
    for number, batch in enumerate(planned, start=1):
        numbered = Batch(**{**asdict(batch), "ingest_number": number})
        (folder / numbered.path).parent.mkdir(parents=True, exist_ok=True)
        if numbered.source == EVENTS:
            chunks = events.chunks(numbered)
        else:
            chunks = covered[numbered.source].chunks(numbered, words)
        _write_file(folder / numbered.path, chunks)
        yield numbered


def _write_file(path: Path, chunks: Iterator[pa.Table]) -> None:
    first = next(chunks)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first, row_group_size=ROW_GROUP)
        for chunk in chunks:
            writer.write_table(chunk, row_group_size=ROW_GROUP)


def _record_batches(parameters: Parameters) -> Iterator[Batch]:
    """Cut the time into slots that the record data sets take in turns."""
    slots = parameters.record_batches * len(COVERAGE)
    for slot in range(slots):
        source = list(COVERAGE)[slot % len(COVERAGE)]
        number = slot // len(COVERAGE)
        total = round(parameters.profiles * COVERAGE[source])
        yield Batch(
            source=source,
            path=f"raw/{source}/{number:04}.parquet",
            ingest_number=0,
            ingested_at=START + SPAN * (slot + 1) / slots,
            since=START + SPAN * slot / slots,
            until=START + SPAN * (slot + 1) / slots,
            rows=_share(total, number, parameters.record_batches),
        )


def _event_batches(parameters: Parameters) -> Iterator[Batch]:
    total = parameters.profiles * EVENTS_PER_PROFILE
    count = parameters.event_batches
    for number in range(count):
        until = START + SPAN * (number + 1) / count
        yield Batch(
            source=EVENTS,
            path=f"raw/{EVENTS}/{number:04}.parquet",
            ingest_number=0,
            # A moment after the record batch that ends at the same time: no two agree.
            ingested_at=until + timedelta(seconds=1),
            since=START + SPAN * number / count,
            until=until,
            rows=_share(total, number, count),
        )


def _share(total: int, number: int, count: int) -> int:
    return total * (number + 1) // count - total * number // count


def _words(seed: int) -> pa.Array:
    """Draw distinct words of 3 to 14 letters."""
    draw = np.random.default_rng([seed, 1])
    words: dict[str, None] = {}
    while len(words) < WORDS:
        letters = draw.integers(ord("a"), ord("z") + 1, int(draw.integers(3, 15)), dtype=np.uint8)
        words[letters.tobytes().decode()] = None
    return pa.array(list(words))


class _Covered:
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
                columns[name] = pa.array(draw.standard_normal(count) * 1000, mask=_gaps(count, draw))
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


class _EventRows:
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
            is_logged_in = draw.random(len(profiles)) < 1 / 3
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
