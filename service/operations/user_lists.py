"""User lists: ask for the users of a segment or a tag as one file, follow the job, download it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from catalog import segments
from catalog.audit import Action, ObjectKind
from catalog.errors import InvalidField, NotFound, TooManyProperties
from catalog.export_jobs import BUILT_IN_POLICIES, PROFILE_SCHEMA_NAME
from catalog.jobs import JobId
from catalog.merge_policies import AttributeMerge, IdentityGraph, MergeRules
from catalog.organisations import Caller, ClientId, Scope
from catalog.properties import MOST_COLUMNS, Column, PropertyKind
from catalog.schemas import field_at
from catalog.store.audit import ONE_DOWNLOAD, AuditStore
from catalog.store.database import Connection, Database
from catalog.store.erasure import ErasureStore
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.segments import SegmentStore
from catalog.store.store_files import StoreFileStore
from catalog.store.user_lists import UserListStore
from catalog.unions import Union
from catalog.user_lists import GIO_ID, Heading, UserList, UserListRequest, file_name_of, told
from service.engine.orders import SegmentChoice, SegmentFilter, Selection, Table, TableColumn
from service.engine.orders.tables import Source
from service.operations.remembered import Remembered
from service.operations.waiting_room import WaitingRoom
from service.storage import streams
from service.storage.files import Files

#: What merges the profiles of a project where its default policy does not unite identities.
PROJECT_POLICY = f"{AttributeMerge.TIMESTAMP_ORDERED}-{IdentityGraph.PRIVATE}-mp"

_STILL_ONE_DOWNLOAD = ONE_DOWNLOAD / 2
_MOST_DOWNLOADS = 10_000


class UserLists:
    """What callers may ask about user lists: those of their organisation, in any sandbox."""

    def __init__(
        self,
        database: Database,
        files: Files,
        waiting_room: WaitingRoom,
        *,
        is_guarded: bool = False,
    ) -> None:
        """Guard CSV against formulas of spreadsheets, or write texts as they are."""
        self._database = database
        self._files = files
        self._waiting_room = waiting_room
        self._is_guarded = is_guarded
        self._noted: Remembered[tuple[UUID, ClientId, str], bool] = Remembered(most=_MOST_DOWNLOADS)

    async def submit(
        self, request: UserListRequest, *, by: Caller, is_repeatable: bool = False
    ) -> UserList:
        """Pin what a list will read and queue it, in the caller's sandbox.

        Refuses with NotFound when there is no such segment, with TooManyProperties, with
        InvalidField when a column is no leaf any more, with TooManyJobs when as many jobs wait as
        may. A segment that was never evaluated is not refused: the job says so. One that
        ``is_repeatable`` is not made again while an equal one would say the same.
        """
        columns = _distinct(request)
        file_name = file_name_of(
            request.file_name,
            title=request.title,
            made_at=datetime.now(UTC),
            format=request.format,
        )
        async with self._database.transaction() as db:
            await ErasureStore(db).keep(by.scope)
            policy_id, version, rules = await _policy(db, by.scope, request.segment_id)
            union = await SchemaStore(db).union(by.scope)
            _check_leaves(columns, union)
            asked = replace(request, columns=columns)
            selection = _selection(asked, rules, is_guarded=self._is_guarded)
            namespaces = await NamespaceStore(db).registered(by.scope)
            order = {
                "user_list": told(request, file_name=file_name),
                "merge_policy_id": policy_id,
                "merge_policy_version": version,
                "selection": {
                    **selection.model_dump(mode="json"),
                    "profile_fields": [field.to_json() for field in union.profile_fields],
                    "namespaces": {one.code.lower(): one.code for one in namespaces},
                },
            }
            lists, snapshot = UserListStore(db), await StoreFileStore(db).snapshot(by.scope)
            if is_repeatable:
                equal = await lists.equal(by.scope, order=order, snapshot=snapshot)
                if equal is not None:
                    return equal
            await self._waiting_room.enter(db, by.scope)
            submitted = await lists.submit(by, order=order, snapshot=snapshot)
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.USER_LIST, submitted.job.id)
            return submitted

    async def find(self, id: JobId, *, by: Caller) -> UserList:
        """Find a list of the caller's organisation; its job says in which sandbox it is."""
        organisation_id = by.scope.organisation_id
        return await self._database.read(lambda db: UserListStore(db).find(organisation_id, id))

    async def download(self, path: str, *, by: Caller) -> UserList:
        """Find the list whose file a path names, as :attr:`UserList.path` spells it.

        Refuses with NotFound when there is none, or none yet, or none any more. Read the bytes
        with :meth:`content`, after :meth:`note_download`.
        """
        found = await self._database.read(
            lambda db: UserListStore(db).find_by_path(by.scope.organisation_id, path)
        )
        if not found.pieces:
            raise NotFound("file", path)
        return found

    async def note_download(self, found: UserList, *, is_whole: bool, by: Caller) -> None:
        """Note that a file is sent, before its first byte is; ranges of it together, once."""
        inside = replace(by, scope=found.job.scope)
        download = (inside.scope.sandbox_id, by.client_id, found.path)
        if not is_whole and self._noted.get(download):
            return
        async with self._database.transaction() as db:
            if is_whole:
                await AuditStore(db).note(inside, Action.DOWNLOAD, ObjectKind.FILE, found.path)
            else:
                await AuditStore(db).note_range(inside, found.path)
        self._noted.keep(download, True, lasts=_STILL_ONE_DOWNLOAD)  # noqa: FBT003 -- the value

    async def content(self, found: UserList, start: int, length: int) -> AsyncIterator[bytes]:
        """Stream bytes of a list's file, which has :attr:`UserList.size_bytes` in all."""
        stop = start + length
        for piece in found.pieces:
            if piece.size_bytes > 0 and start < piece.size_bytes and stop > 0:
                first, last = max(start, 0), min(stop, piece.size_bytes)
                async for data in streams.stream(self._files, piece.key, first, last - first):
                    yield data
            start, stop = start - piece.size_bytes, stop - piece.size_bytes


def _distinct(request: UserListRequest) -> tuple[Column, ...]:
    """Each column once, in the order of the request; refuses too many beside that of the tag."""
    columns = {column.key: column for column in request.columns}
    tag = request.having
    asked = [one for one in columns.values() if tag is None or one.property.path != tag]
    if len(asked) > MOST_COLUMNS:
        raise TooManyProperties(len(asked), most=MOST_COLUMNS)
    return tuple(columns.values())


async def _policy(
    db: Connection, scope: Scope, segment_id: str | None
) -> tuple[str, int, MergeRules]:
    """What merges a list: of a segment its own policy, else one that unites identities."""
    policies = MergePolicyStore(db)
    if segment_id is not None:
        segment = await SegmentStore(db).find(scope, segment_id)
        if segment.merge_policy_id in BUILT_IN_POLICIES:
            return segment.merge_policy_id, 1, BUILT_IN_POLICIES[segment.merge_policy_id]
        policy = await policies.find(scope, segment.merge_policy_id)
        return policy.id, policy.version, policy.rules
    return await project_policy(db, scope)


async def project_policy(db: Connection, scope: Scope) -> tuple[str, int, MergeRules]:
    """What merges the users of a project: its default policy if that unites identities."""
    default = await MergePolicyStore(db).default(scope, PROFILE_SCHEMA_NAME)
    if default is not None and default.rules.identity_graph is IdentityGraph.PRIVATE:
        return default.id, default.version, default.rules
    return PROJECT_POLICY, 1, BUILT_IN_POLICIES[PROJECT_POLICY]


def _check_leaves(columns: Sequence[Column], union: Union) -> None:
    for column in columns:
        path = column.property.path
        if path is not None and field_at(union.profile_fields, path) is None:
            raise InvalidField(
                "properties",
                f"{column.key} is the field {'.'.join(path)}, which the union schema has no more",
            )


def _selection(request: UserListRequest, rules: MergeRules, *, is_guarded: bool) -> Selection:
    """What is asked for, but for the schemas and namespaces, which are pinned beside it."""
    chosen = None
    if request.segment_id is not None:
        own = segments.SegmentChoice(segment_id=request.segment_id)
        chosen = SegmentFilter(
            choices=(
                SegmentChoice(
                    segment_id=own.segment_id, namespace=own.namespace, statuses=own.statuses
                ),
            )
        )
    number = TableColumn(key=GIO_ID, header=GIO_ID, source=Source.GIO_ID)
    return Selection(
        profile_fields=(),
        event_fields=(),
        identity_graph=rules.identity_graph,
        attribute_merge=rules.attribute_merge,
        dataset_order=rules.dataset_order,
        segments=chosen,
        table=Table(
            columns=(number, *(_column(each, request.heading) for each in request.columns)),
            format=request.format,
            charset=request.charset,
            is_guarded=is_guarded,
            having=request.having,
        ),
    )


def _column(column: Column, heading: Heading) -> TableColumn:
    asked = column.property
    header = asked.name if heading is Heading.NAME else column.key
    if asked.kind is PropertyKind.IDENTITY:
        source = Source.ALL_IDENTITIES if column.has_all_values else Source.LAST_IDENTITY
        return TableColumn(key=column.key, header=header, source=source, namespace=asked.namespace)
    return TableColumn(key=column.key, header=header, source=Source.LEAF, path=asked.path or ())
