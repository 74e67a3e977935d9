"""Workloads: what the benchmark's data is made of, and where it lies once it was made."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

#: Raised whenever other bytes are made from the same parameters.
FORMAT = 1
SEED = 20_240_601
STRINGS = tuple(f"s{number}" for number in range(14))
DOUBLES = tuple(f"n{number}" for number in range(5))
#: The fields of a record that are merged.
FIELDS = (*STRINGS, "email", *DOUBLES)
#: The fields of an event that are exported.
EVENT_FIELDS = ("timestamp", "browser", "version")
EVENTS_PER_PROFILE = 10
#: The share of profiles each record data set covers.
COVERAGE = {"records_a": 1.0, "records_b": 0.9, "records_c": 0.8}
EVENTS = "events"
#: The row group size DuckDB and others choose: fine enough for two threads on small workloads.
ROW_GROUP = 131_072


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
