"""Why exports have no file, in Chinese: whatever the engine and the worker say in English."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from catalog.errors import InvalidField
from catalog.jobs import Job, JobError, JobId, JobKind, JobState
from catalog.organisations import Scope
from catalog.user_lists import Charset, ListFormat, ListKind, UserList
from service.engine.lanes import Lane
from service.engine.orders.tables import Source, Table, TableColumn
from service.engine.table_files import TableWriter
from service.storage.files import Writing
from service.surfaces.growingio.languages import Language, outcome

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def a_failed_list(scope: Scope, code: str, message: str) -> UserList:
    job = Job(
        id=JobId(7),
        kind=JobKind.USER_LIST,
        scope=scope,
        state=JobState.FAILED,
        dataset_id=None,
        order={},
        snapshot=0,
        attempt=1,
        failed_attempts=1,
        worker_id=None,
        progress={},
        metrics={},
        errors=(JobError(code=code, message=message),),
        created_by="any",
        request_id="r-1",
        created_at=NOON,
        updated_at=NOON,
        started_at=NOON,
        finished_at=NOON,
    )
    return UserList(
        job=job,
        kind=ListKind.TAG,
        space_number=None,
        format=ListFormat.CSV,
        charset=Charset.GBK,
        file_name="x.csv",
        pieces=(),
    )


@pytest.mark.parametrize(
    ("code", "english", "chinese"),
    [
        ("segment_not_computed", "the segment has never been computed", "分群尚未计算"),
        ("property_deleted", "usr_a, usr_b was deleted after", "导出字段 usr_a, usr_b 已被删除"),
        ("storage_full", "there is no room left for the files", "存储空间不足"),
        ("storage_failed", "files cannot be reached: Input/output error", "存储读写失败"),
        ("engine_failed", "the engine failed", "导出失败"),
    ],
)
def test_why_an_export_failed_is_told_in_chinese(
    scope: Scope, code: str, english: str, chinese: str
):
    found = a_failed_list(scope, code, english)
    told = outcome(found, Language.CHINESE)
    assert told is not None
    assert chinese in told
    assert outcome(found, Language.ENGLISH) == english


def test_the_column_and_the_character_that_a_charset_lacks_are_told_in_chinese(scope: Scope):
    column = TableColumn(key="tag_x", header="徽章😀", source=Source.LEAF, path=("x",))
    table = Table(columns=(column,), charset=Charset.GBK)
    with pytest.raises(InvalidField) as refused:
        TableWriter(Writing("any", io.BytesIO()), table, Lane(), is_first=True)
    found = a_failed_list(scope, refused.value.code, str(refused.value))
    told = outcome(found, Language.CHINESE)
    assert told is not None
    for named in ("GBK", "😀", "出现在 tag_x"):
        assert named in told
