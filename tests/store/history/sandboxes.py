"""One sandbox, and what must hold of all that is read there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from catalog.jobs import JobKind
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store.database import Connection
from catalog.store.home_files import HomeFileStore
from catalog.store.labellings import LabellingStore
from catalog.store.numberings import NumberingStore
from catalog.store.store_files import StoreFileStore
from catalog.store_files import StoreFile
from service.engine.orders import (
    ENGINE_VERSION,
    Fragments,
    HomeFile,
    SavedLabelling,
)
from tests.builders import a_dataset
from tests.store.history.crew import Attempt, Crew
from tests.store.history.disk import Disk, Home, Plan
from tests.store.history.truth import Truth, seen

#: The last commit of a sandbox, what has not ended, and whether what lacked rows was made anew:
#: no data set's last rebuild has failed or is to come.
STANDING = """
SELECT commit_number,
       (SELECT coalesce(jsonb_agg(to_jsonb(jobs) || jsonb_build_object('plan', plans.key)), '[]')
          FROM jobs LEFT JOIN plans ON plans.job_id = jobs.id
         WHERE sandbox_id = sandboxes.id AND finished_at IS NULL) AS unfinished,
       NOT EXISTS (SELECT FROM jobs
                    WHERE sandbox_id = sandboxes.id AND kind = 'rebuild' AND state <> 'succeeded'
                      AND NOT EXISTS (SELECT FROM jobs AS later
                                       WHERE later.dataset_id = jobs.dataset_id
                                         AND later.kind = 'rebuild' AND later.id > jobs.id))
           AS is_whole,
       EXISTS (SELECT FROM jobs WHERE sandbox_id = sandboxes.id AND kind = 'rebuild'
                                  AND state = 'failed') AS has_failed
  FROM sandboxes WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a sandbox stands."""

    commit: int
    #: The jobs that have not ended, by their id, each with the key of its plan.
    unfinished: Mapping[int, dict[str, Any]]
    is_whole: bool
    #: A rebuild has failed at some time, so that exports may have been refused.
    has_failed: bool


@dataclass(slots=True)
class Sandbox:
    """One sandbox, from its first batch on."""

    scope: Scope
    #: One of events and one of records.
    datasets: tuple[str, str]
    truth: Truth = field(default_factory=Truth, repr=False)

    @classmethod
    async def make(cls, db: Connection, organisation: str, name: str) -> Self:
        """Make a sandbox with its data sets, and the organisation if there is none."""
        await db.execute(
            "INSERT INTO organisations (id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING",
            organisation,
        )
        id = await db.fetchval(
            "INSERT INTO sandboxes (organisation_id, name, title) VALUES ($1, $2, '') RETURNING id",
            organisation,
            name,
        )
        scope = Scope(
            organisation_id=OrganisationId(organisation),
            sandbox_id=SandboxId(id),
            sandbox_name=name,
        )
        events, records = f"events of {name}, {organisation}", f"records of {name}, {organisation}"
        for dataset_id in (events, records):
            await a_dataset(db, scope, id=dataset_id)
        return cls(scope, (events, records))

    def anew(self) -> Self:
        """The same sandbox, of which nothing is known."""
        return type(self)(self.scope, self.datasets)

    async def standing(self, db: Connection) -> Standing:
        row = await db.fetchrow(STANDING, self.scope.sandbox_id)
        assert row is not None
        unfinished = {job["id"]: job for job in row["unfinished"]}
        return Standing(
            row["commit_number"], unfinished, row["is_whole"], has_failed=row["has_failed"]
        )

    async def check(self, db: Connection, disk: Disk, crew: Crew) -> None:
        """Hold what can be read now, and what jobs read, against what was ingested."""
        standing = await self.standing(db)
        refused = [job.id for job in crew.refused if job.scope == self.scope]
        assert standing.has_failed or not refused, f"{refused} were refused though all is whole"
        await self._check_snapshot(db, disk, standing.commit, is_whole=standing.is_whole)
        await self._check_offers(db, disk, standing.commit)
        for attempt in crew.attempts:
            if attempt.job.scope == self.scope and _is_running(attempt, standing):
                await self._check_attempt(db, disk, attempt)
        for job in standing.unfinished.values():
            self._check_job(disk, job)
            if job["kind"] == JobKind.USER_LIST:
                is_whole = standing.is_whole and not standing.has_failed
                await self._check_snapshot(db, disk, job["snapshot"], is_whole=is_whole)

    async def check_is_whole(self, db: Connection, disk: Disk) -> None:
        """Hold that whatever lacked rows was made anew, however often that had failed."""
        standing = await self.standing(db)
        await self._check_snapshot(db, disk, standing.commit, is_whole=True)

    async def _check_attempt(self, db: Connection, disk: Disk, attempt: Attempt) -> None:
        """Hold what an export reads against what was ingested; it must still be there, too."""
        commit, order = attempt.job.snapshot, attempt.engine.order
        if order is None or commit is None:
            return
        files = await self._check_snapshot(db, disk, commit, is_whole=True)
        now = [_read(Fragments.of(file)) for file in files]
        assert [_read(file) for file in order.files] == now, "changed under a reader"
        _check_homes(order.homes, {file.key for file in files}, disk)
        if not attempt.engine.has_planned:
            self._check_labelling(disk, commit, order.labelling)

    async def _check_snapshot(
        self, db: Connection, disk: Disk, commit: int, *, is_whole: bool
    ) -> tuple[StoreFile, ...]:
        files = await StoreFileStore(db).files_at(self.scope, commit)
        self.truth.compare(commit, seen(files, disk), is_whole=is_whole)
        return files

    async def _check_offers(self, db: Connection, disk: Disk, commit: int) -> None:
        """Hold what an export that is asked for now would be told beside its files."""
        newest = await LabellingStore(db).newest(self.scope, commit, engine_version=ENGINE_VERSION)
        self._check_labelling(disk, commit, SavedLabelling.of(newest))
        numbering = await NumberingStore(db).newest(self.scope, commit)
        if numbering is not None and numbering.is_current:
            is_same = self.truth.at(numbering.commit) == self.truth.at(commit)
            assert is_same, f"the numbering of {numbering.commit} says nothing of {commit}"
        files = await StoreFileStore(db).files_at(self.scope, commit)
        homes = await HomeFileStore(db).at(self.scope, commit)
        _check_homes(map(HomeFile.of, homes), {file.key for file in files}, disk)

    def _check_labelling(self, disk: Disk, commit: int, saved: SavedLabelling | None) -> None:
        """Hold a labelling that a snapshot is offered: of what it knows nothing has gone."""
        if saved is None:
            return
        assert saved.commit <= commit, "a labelling is newer than what is read"
        labels = disk.labels(saved.key)
        self.truth.compare_labels(saved.commit, labels)
        gone = {batch_id for batch_id, _ in labels.links} - self.truth.at(commit)
        assert not gone, f"{gone} live on in the labelling of {saved.commit}, read at {commit}"

    def _check_job(self, disk: Disk, job: Mapping[str, Any]) -> None:
        """Hold what a job reads that has not ended: nothing deleted, and all that it goes by."""
        commit, plan = job["snapshot"] or 0, disk.files.get(job["plan"] or "")
        if isinstance(plan, Plan):
            swept = plan.reads - disk.files.keys()
            assert not swept, f"{swept} were swept, by which job {job['id']} goes"
            if plan.labels is not None:
                self.truth.compare_labels(commit, disk.labels(plan.labels))
            if plan.numbers is not None:
                self.truth.compare_numbers(commit, disk.numbers(plan.numbers))
        if job["kind"] != JobKind.REBUILD:
            read = self.truth.deleted & self.truth.at(commit)
            gone = [id for id in read if self.truth.batches[id].rows]
            assert not gone, f"{gone} are read though deleted"


def _read(file: Fragments) -> dict[str, Any]:
    """What decides how a file is read, but for times, which pass here."""
    times = {"ingested_at": True, "sources": {"__all__": {"ingested_at"}}}
    return file.model_dump(exclude=times)


def _check_homes(homes: Iterable[HomeFile], keys: Collection[str], disk: Disk) -> None:
    """Hold home files: they repeat files that are read, by labellings that are there."""
    by_file: set[str] = set()
    for home in homes:
        assert home.store_file in keys, "a home file is of no file that is read"
        assert home.store_file not in by_file, "a file has two home files"
        by_file.add(home.store_file)
        assert disk.files[home.key] == Home(home.store_file, home.labelling), "of another file"
        assert disk.labels(home.labelling)


def _is_running(attempt: Attempt, standing: Standing) -> bool:
    """Whether an attempt has neither lost its job nor ended."""
    job = standing.unfinished.get(attempt.job.id)
    return job is not None and (job["state"], job["attempt"]) == ("running", attempt.job.attempt)
