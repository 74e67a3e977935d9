"""Export jobs as they begin, in as few round trips as there can be.

What a submission writes, others write too: a job as :mod:`~catalog.store.jobs`, its batches as
:mod:`~catalog.store.batches`, an entry as :mod:`~catalog.store.audit`. Here it is one statement
for all of them, and for many jobs at once: submitting is what callers do most of all that changes
anything.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from catalog.batches import BatchState, InputFormat
from catalog.errors import NotFound
from catalog.export_jobs import ExportJob
from catalog.organisations import Caller, Scope
from catalog.store import queries
from catalog.store.database import Connection
from catalog.store.export_jobs import export_job_of

SQL = queries.beside(__file__)

_INPUT_FORMAT = asdict(InputFormat())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a new export would rest on."""

    #: Of the data set to write to; None when there is no such data set.
    schema_id: str | None
    has_default_policy: bool
    #: Another one whenever a schema of the union or a namespace was changed.
    shape_mark: str
    #: Another one whenever anything of this was changed, or a merge policy.
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One export that is to be queued."""

    by: Caller
    #: What the job keeps of its request, but for the selection.
    order: Mapping[str, Any]
    #: As JSON.
    selection: str
    batch_count: int


class SubmissionStore:
    """Looks at what new exports rest on, and queues them upon that, inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def look(self, scope: Scope, *, dataset_id: str, schema_name: str) -> Ground:
        """What an export to a data set would rest on now."""
        row = await SQL["look"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            dataset_id=dataset_id,
            schema_name=schema_name,
        )
        if row is None:
            raise NotFound("sandbox", scope.sandbox_name)
        return Ground(**row)

    async def submit(
        self,
        scope: Scope,
        submissions: Sequence[Submission],
        *,
        dataset_id: str,
        schema_name: str,
        mark: str,
        shapes: str,
    ) -> tuple[ExportJob, ...] | None:
        """Queue jobs to one data set, each with its batches, and note them.

        Workers are told by :meth:`JobStore.announce`, once it is committed. The jobs pin the
        sandbox's last commit number. None, nothing having been done, when the ground has another
        ``mark`` by now. ``shapes`` is the JSON of what every selection is to have besides.
        """
        batch_ids = [[secrets.token_hex(16) for _ in range(one.batch_count)] for one in submissions]
        rows = await SQL["submit"].rows(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            sandbox_name=scope.sandbox_name,
            dataset_id=dataset_id,
            schema_name=schema_name,
            mark=mark,
            shapes=shapes,
            orders=[json.dumps(one.order) for one in submissions],
            selections=[one.selection for one in submissions],
            actors=[one.by.client_id for one in submissions],
            request_ids=[one.by.request_id for one in submissions],
            batch_ids=[id for ids in batch_ids for id in ids],
            batch_places=[place for place, ids in enumerate(batch_ids, 1) for _ in ids],
            places=[place for ids in batch_ids for place in range(len(ids))],
            batch_state=BatchState.EXPORTING,
            input_format=_INPUT_FORMAT,
        )
        if not rows:
            return None
        return tuple(
            export_job_of({**row, "order": one.order, "batch_ids": ids})
            for row, one, ids in zip(rows, submissions, batch_ids, strict=True)
        )
