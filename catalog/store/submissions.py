"""Export jobs as they begin, in as few round trips as there can be.

What a submission writes, others write too: a job as :mod:`~catalog.store.jobs`, its batches as
:mod:`~catalog.store.batches`, an entry as :mod:`~catalog.store.audit`. Here it is one statement,
since submitting is what callers do most of all that changes anything.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
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


class SubmissionStore:
    """Looks at what a new export rests on, and queues it upon that, inside one transaction."""

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
        by: Caller,
        *,
        dataset_id: str,
        schema_name: str,
        mark: str,
        order: Mapping[str, Any],
        selection: Mapping[str, Any],
        shapes: str,
        batch_count: int,
    ) -> ExportJob | None:
        """Queue a job with its batches and note it.

        Workers are told by :meth:`JobStore.announce`, once it is committed. The job pins the
        sandbox's last commit number. None, nothing having been done, when the ground has another
        ``mark`` by now. ``shapes`` is the JSON of what ``selection`` is to have besides.
        """
        batch_ids = [secrets.token_hex(16) for _ in range(batch_count)]
        row = await SQL["submit"].row(
            self._db,
            sandbox_id=by.scope.sandbox_id,
            organisation_id=by.scope.organisation_id,
            sandbox_name=by.scope.sandbox_name,
            dataset_id=dataset_id,
            schema_name=schema_name,
            mark=mark,
            order=order,
            selection=selection,
            shapes=shapes,
            actor=by.client_id,
            request_id=by.request_id,
            batch_ids=batch_ids,
            batch_state=BatchState.EXPORTING,
            input_format=_INPUT_FORMAT,
        )
        if row is None:
            return None
        return export_job_of({**row, "order": order, "batch_ids": batch_ids})
