"""Which scope each call of this dialect needs: the one table, asked before any handler runs."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

from catalog.access import ALL, Access
from catalog.errors import InsufficientScope
from catalog.organisations import Caller
from service.surfaces.adobe import (
    audit,
    batches,
    data_access,
    datasets,
    entities,
    export_jobs,
    identities,
    ingestion,
    merge_policies,
    namespaces,
    sandboxes,
    schema_parts,
    schemas,
    segment_jobs,
    segments,
)

#: A handler that stands here twice would be two calls; each is one, so each has one scope.
NEEDS: Mapping[Handler, Access] = {
    audit.listing: Access.AUDIT_READ,
    batches.change: Access.BATCHES_WRITE,
    batches.create: Access.BATCHES_WRITE,
    batches.listing: Access.BATCHES_READ,
    batches.remove: Access.BATCHES_WRITE,
    batches.replace: Access.BATCHES_WRITE,
    batches.show: Access.BATCHES_READ,
    data_access.list_files: Access.DATA_READ,
    data_access.preview: Access.DATA_READ,
    data_access.show_failed: Access.DATA_READ,
    data_access.show_file: Access.DATA_READ,
    data_access.show_meta: Access.DATA_READ,
    datasets.change: Access.DATASETS_WRITE,
    datasets.create: Access.DATASETS_WRITE,
    datasets.last_batches: Access.DATASETS_READ,
    datasets.list_files: Access.DATASETS_READ,
    datasets.list_files_of_view: Access.DATASETS_READ,
    datasets.listing: Access.DATASETS_READ,
    datasets.merge: Access.DATASETS_WRITE,
    datasets.remove: Access.DATASETS_WRITE,
    datasets.replace: Access.DATASETS_WRITE,
    datasets.show: Access.DATASETS_READ,
    entities.show: Access.DATA_READ,
    entities.show_many: Access.DATA_READ,
    export_jobs.cancel: Access.EXPORTS_WRITE,
    export_jobs.listing: Access.EXPORTS_READ,
    export_jobs.show: Access.EXPORTS_READ,
    export_jobs.submit: Access.EXPORTS_WRITE,
    identities.show: Access.NAMESPACES_READ,
    identities.show_graphs: Access.DATA_READ,
    ingestion.act: Access.BATCHES_WRITE,
    ingestion.act_on_file: Access.BATCHES_WRITE,
    ingestion.measure: Access.BATCHES_WRITE,
    ingestion.preview: Access.BATCHES_READ,
    ingestion.open_batch: Access.BATCHES_WRITE,
    ingestion.receive: Access.BATCHES_WRITE,
    ingestion.replay: Access.BATCHES_WRITE,
    ingestion.show: Access.BATCHES_READ,
    ingestion.upload: Access.BATCHES_WRITE,
    merge_policies.create: Access.POLICIES_WRITE,
    merge_policies.listing: Access.POLICIES_READ,
    merge_policies.patch: Access.POLICIES_WRITE,
    merge_policies.remove: Access.POLICIES_WRITE,
    merge_policies.replace: Access.POLICIES_WRITE,
    merge_policies.show: Access.POLICIES_READ,
    merge_policies.show_many: Access.POLICIES_READ,
    namespaces.listing: Access.NAMESPACES_READ,
    namespaces.register: Access.NAMESPACES_WRITE,
    namespaces.show: Access.NAMESPACES_READ,
    sandboxes.list_all: Access.SANDBOXES_READ,
    schema_parts.change: Access.SCHEMAS_WRITE,
    schema_parts.listing: Access.SCHEMAS_READ,
    schema_parts.register: Access.SCHEMAS_WRITE,
    schema_parts.remove: Access.SCHEMAS_WRITE,
    schema_parts.replace: Access.SCHEMAS_WRITE,
    schema_parts.show: Access.SCHEMAS_READ,
    schemas.remove: Access.SCHEMAS_WRITE,
    schemas.remove_descriptor: Access.SCHEMAS_WRITE,
    schemas.replace: Access.SCHEMAS_WRITE,
    schemas.add_descriptor: Access.SCHEMAS_WRITE,
    schemas.change: Access.SCHEMAS_WRITE,
    schemas.list_descriptors: Access.SCHEMAS_READ,
    schemas.list_unions: Access.SCHEMAS_READ,
    schemas.listing: Access.SCHEMAS_READ,
    schemas.register: Access.SCHEMAS_WRITE,
    schemas.show: Access.SCHEMAS_READ,
    schemas.show_descriptor: Access.SCHEMAS_READ,
    schemas.show_union: Access.SCHEMAS_READ,
    schemas.stats: Access.SCHEMAS_READ,
    segment_jobs.cancel: Access.SEGMENTS_WRITE,
    segment_jobs.listing: Access.SEGMENTS_READ,
    segment_jobs.show: Access.SEGMENTS_READ,
    segment_jobs.submit: Access.SEGMENTS_WRITE,
    segments.change: Access.SEGMENTS_WRITE,
    segments.create: Access.SEGMENTS_WRITE,
    segments.listing: Access.SEGMENTS_READ,
    segments.remove: Access.SEGMENTS_WRITE,
    segments.show: Access.SEGMENTS_READ,
    segments.show_many: Access.SEGMENTS_READ,
}


def permit(request: web.Request, caller: Caller) -> None:
    """Refuse with InsufficientScope what the caller's credentials do not carry.

    A call that is missing from the table takes credentials that carry everything: a new route
    is never open by oversight. What leads nowhere needs nothing, it is refused anyway.
    """
    if request.match_info.http_exception is not None:
        return
    needed = NEEDS.get(request.match_info.handler)
    if needed is None:
        if caller.may != ALL:
            raise InsufficientScope(" ".join(sorted(ALL)))
    elif needed not in caller.may:
        raise InsufficientScope(needed)
