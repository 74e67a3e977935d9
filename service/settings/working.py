"""What can be set of the work: workers, the engine, what is ingested, kept small and removed."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings

from service.settings.reading import MIB, PREFIX, Duration, read_as


def _default_engine_threads() -> int:
    return min(os.cpu_count() or 1, 8)


class WorkerSettings(BaseSettings):
    """Who does the long work, and how it is noticed that somebody stopped doing it."""

    model_config = read_as(PREFIX + "WORKER_")

    count: int = Field(default=1, ge=0, le=64)
    """Worker processes that ``serve`` starts. 0: workers are started elsewhere with ``work``."""

    slots: int = Field(default=1, ge=1, le=16)
    """Jobs one worker runs at a time, each in an engine process of its own."""

    lease: Duration = Field(
        default=timedelta(seconds=30), ge=timedelta(seconds=1), le=timedelta(hours=1)
    )
    """How long a worker may be silent before its job is given to another. Longer survives
    longer pauses of the machine; shorter recovers sooner."""

    heartbeat: Duration = Field(
        default=timedelta(milliseconds=700), ge=timedelta(milliseconds=100), le=timedelta(minutes=1)
    )
    """How often a worker says that it is there, and with it how far its job is: the engine reports
    every quarter second, so with the default callers see nothing older than a second. It says so
    three times in a lease at least, whatever stands here: one late beat must cost no job."""

    grace: Duration = Field(default=timedelta(seconds=5), ge=timedelta(0), le=timedelta(minutes=10))
    """How long a worker that is told to stop goes on, until the part it writes is kept, before
    it hands its job back. Work on a part that is not kept by then is done again."""

    attempts: int = Field(default=5, ge=1, le=100)
    """How often a job is tried before it fails."""

    poll: Duration = Field(
        default=timedelta(seconds=5), ge=timedelta(milliseconds=100), le=timedelta(minutes=10)
    )
    """How often an idle worker looks for jobs on its own. Notices wake it at once; this only
    covers lost ones."""


class EngineSettings(BaseSettings):
    """How the engine cuts its work. None of these changes what is exported, only into what
    files; the defaults are tried on 2 cores and 8 GB."""

    model_config = read_as(PREFIX + "ENGINE_")

    threads: int = Field(default_factory=_default_engine_threads, ge=1, le=256)
    """Threads of one engine process. Default: the machine's processors, at most eight."""

    part_row_count: int = Field(default=1_000_000, ge=1)
    """The most profiles in one exported file."""

    part_size_bytes: int = Field(default=256 * MIB, ge=MIB)
    """About how large an exported file may become. Larger ones are fewer; smaller ones lose
    less work when a worker is killed, since finished files are kept."""

    slice_size_bytes: int = Field(default=64 * MIB, ge=MIB)
    """How much of the profile store one thread holds in memory at a time, uncompressed."""

    labelling_size_bytes: int = Field(default=128 * MIB, ge=MIB)
    """How much memory sorting the links between identities may take. More links than fit, about
    600,000 in the default, are divided on disk first; sorting small portions is also faster."""

    memory_bytes: int = Field(default=4096 * MIB, ge=512 * MIB)
    """The most memory a promotion may take. One that takes more is ended and its batch fails:
    what it read was made to take it. A promotion of ordinary files takes less than a gigabyte,
    and some 150 MB for each thread beyond two."""

    time_limit: Duration = Field(default=timedelta(hours=12), ge=timedelta(seconds=1))
    """How long a promotion may take. One that takes longer is ended and its batch fails."""

    preview_memory_bytes: int = Field(default=1024 * MIB, ge=256 * MIB)
    """The same for a preview of files that were sent; at most two are made at a time."""

    preview_time_limit: Duration = Field(default=timedelta(seconds=30), ge=timedelta(seconds=1))
    """How long such a preview may take."""

    still_limit: Duration = Field(default=timedelta(minutes=10), ge=timedelta(seconds=1))
    """How long a promotion may get no further, with the same end. Ordinary files move on
    several times a second."""


class IngestionSettings(BaseSettings):
    """What batches and their rows may be. The defaults are what the vendor documents."""

    model_config = read_as(PREFIX + "INGESTION_")

    batch_files: int = Field(default=25_000, ge=1)
    """The most files in one batch."""

    large_file_bytes: int = Field(default=1_000_000_000_000, ge=1)
    """The largest file that may be sent in chunks, and the most bytes its chunks may hold."""

    ecid_digits: int = Field(default=38, ge=0, le=1024)
    """How many digits an ECID has. A row with another one is in the data set but not in profiles,
    and is counted. 0: an ECID may be any text."""

    row_identities: int = Field(default=20, ge=0)
    """The most identities one row of a data set for profiles may name; a row with more is
    refused. 0: any number."""


class CompactionSettings(BaseSettings):
    """When small files of the profile store become one. Exports say the same before and after."""

    model_config = read_as(PREFIX + "COMPACTION_")

    every: Duration = Field(default=timedelta(minutes=1), ge=timedelta(0), le=timedelta(days=1))
    """How often the workers look. 0: never; then exports of many small batches grow slow."""

    files: int = Field(default=8, ge=2, le=64)
    """So many files of about one size become one. More are written again less often and slow
    exports down more."""

    size_bytes: int = Field(default=4 * 1024 * MIB, ge=MIB)
    """Larger files are left alone, and no more bytes become one at once: what a worker does in
    about a minute."""

    home_from_bytes: int = Field(default=8 * MIB, ge=0)
    """Store files from this size on have a home file beside them, which spares every export of
    stitched profiles the moving of rows. Of smaller ones hardly anything is to be moved."""

    revertible: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long after a batch was ingested it can be taken back at once. Compaction drops rows that
    older batches supersede; to take back such a batch all the same, the data set's store files are
    made anew first, which takes as long as ingesting it again. 0 drops at once."""

    patience: Duration = Field(default=timedelta(hours=1), ge=timedelta(0))
    """How long after a compaction or a rebuild failed for good it is tried again. What failed once
    mostly fails again; but until a rebuild succeeds, exports fail."""


class SweepSettings(BaseSettings):
    """How long things are kept that nobody needs any more. Whatever goes, goes for good."""

    model_config = read_as(PREFIX + "SWEEP_")

    every: Duration = Field(default=timedelta(minutes=5), ge=timedelta(0), le=timedelta(days=1))
    """How often the workers look for what may go; one of them does. 0: never, and then
    ``profile-exports sweep`` is to be run now and then."""

    loading: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long after its last file a batch waits to be completed before it is given up."""

    uploads: Duration = Field(default=timedelta(days=7), ge=timedelta(0))
    """How long after its end what was sent for a batch is kept. Nothing reads it any more: the
    rows are in the data set's own files. A week leaves time to find out why a batch failed."""

    reverted: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long the files of a batch are kept that was reverted or replaced. Nobody can read them
    through the service; until then an operator can."""

    diagnostics: Duration = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long after its end the files are kept that tell about a batch: which rows were
    refused, whom an export left out."""

    user_lists: Duration = Field(default=timedelta(days=7), ge=timedelta(0))
    """How long after its end the file of a user list can be downloaded. The documents name no time:
    a week is a guess at how long a client that failed over a weekend needs."""

    rows: Duration | None = Field(default=None, gt=timedelta(0))
    """How long a batch stays in a data set that does not say so itself, in ``rowExpiration``.
    Then it is taken out of the data set and of later exports, and erased. Not set: for ever."""
