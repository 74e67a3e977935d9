"""GraphQL as real clients send it and as the guide has it; and what is refused."""

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient
from graphql import build_schema, parse, print_ast
from hypothesis import given
from hypothesis import strategies as st

from catalog.jobs import JobEvent, JobKind
from catalog.properties import Property, PropertyKind, PropertyNumber, ValueType
from catalog.store.jobs import JobStore
from service.operations.hash_ids import HashIds, Noun
from service.surfaces.graphql.limits import (
    MOST_CHARACTERS,
    MOST_COST,
    MOST_DEPTH,
    MOST_FRAGMENTS,
    MOST_TOKENS,
)
from service.surfaces.graphql.telling import global_id, short_id, text
from tests.surfaces.growingio import a_caller

CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"
REQUESTS = CONTRACTS / "growingio-client-requests.jsonl"
GUIDE = CONTRACTS / "growingio-guide-documents.graphql"

#: Counted from 1: the analyses, their export, and its result.
ANALYSES_IN_REQUESTS = {8, 9, 10, 11, 18, 19}
ANALYSES_IN_GUIDE = set(range(9, 15))

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
STAGES = {"NONE", "READY", "RUNNING", "DATA_READY", "FINISH", "ERROR"}


def requests():
    if not REQUESTS.exists():
        return []
    lines = REQUESTS.read_text().splitlines()
    return [
        pytest.param(json.loads(line)["query"], id=f"line-{number}")
        for number, line in enumerate(lines, start=1)
        if number not in ANALYSES_IN_REQUESTS
    ]


def guide():
    if not GUIDE.exists():
        return []
    pieces = re.split(r"^# --- (\d+).*$", GUIDE.read_text(), flags=re.MULTILINE)[1:]
    numbered = zip(pieces[::2], pieces[1::2], strict=True)
    return [
        pytest.param(document, id=f"document-{number}")
        for number, document in numbered
        if int(number) not in ANALYSES_IN_GUIDE
    ]


async def ask(client, query, **body):
    answer = await client.post("/graphql", json={"query": query, **body})
    assert answer.status == 200, await answer.text()
    return await answer.json()


@pytest.fixture
async def known(gio, defined):
    """What the ids and keys of the documents are replaced by: defined objects."""
    (tag,) = (await ask(gio, "{ dataCenterTags { id key name } }"))["data"]["dataCenterTags"]
    listed = await ask(gio, f'{{ segments(projectId: "{defined.project}") {{ id name }} }}')
    (segment,) = listed["data"]["segments"]
    submitted = await ask(
        gio, 'mutation { submitTagUserExportJobByKey(parameter: {tagKey: "tag_rfm"}) { id } }'
    )
    job = submitted["data"]["submitTagUserExportJobByKey"]["id"]
    return {
        "WlGk4Daj": defined.project,
        "bVG24AQ6": segment["id"],
        "qgQMXnD3": segment["id"],
        **dict.fromkeys(("mgGJj3GA", "zZDb1jG9", "OqQjr1Qd"), tag["id"]),
        **dict.fromkeys(("tag_payment_times", "tag_payment"), tag["key"]),
        "usr_sex": "usr_gender",
        "VGFnVXNlckV4cG9ydEpvYkR0bzpBYlEzWEFwWQ": job,
        "U2VnbWVudFVzZXJFeHBvcnRKb2JEdG86d1dEcjdPUU0": job,
    }


def replaced(document, known):
    return re.sub(
        "|".join(sorted(known, key=len, reverse=True)), lambda found: known[found[0]], document
    )


def check(answer):
    """What section 7.3 of the sheet demands of an answer."""
    assert "errors" not in answer, answer
    pending = [answer["data"]]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        if not isinstance(value, dict):
            continue
        pending.extend(value.values())
        for name in ("createdAt", "updatedAt", "detectedAt", "joinedAt"):
            if value.get(name) is not None:
                assert INSTANT.fullmatch(value[name])
        if "stage" in value:
            assert value["stage"] in STAGES
        for name in ("jsonData", "value"):
            assert isinstance(value.get(name), str | None)


@pytest.mark.skipif(not REQUESTS.exists(), reason="the contracts are not beside the repository")
@pytest.mark.parametrize("query", requests())
async def test_every_request_of_a_real_client_is_answered(gio, known, query):
    answer = await ask(gio, replaced(query, known))
    check(answer)
    (value,) = answer["data"].values()
    if "userProfile" not in query.lower() and isinstance(value, dict | list):
        assert value, "objects that are defined are found"


@pytest.mark.skipif(not GUIDE.exists(), reason="the contracts are not beside the repository")
@pytest.mark.parametrize("document", guide())
async def test_every_document_of_the_guide_is_answered(gio, known, document):
    check(await ask(gio, replaced(document, known)))


@pytest.mark.skipif(not CONTRACTS.exists(), reason="the contracts are not beside the repository")
def test_every_field_of_ours_is_as_in_the_contracts_schema():
    """Types, arguments and nullability are theirs; only what is left out differs."""
    own = Path("service/surfaces/graphql/schema.graphql").read_text()
    theirs = build_schema((CONTRACTS / "growingio-subset.graphql").read_text())
    for name, type in build_schema(own).type_map.items():
        if name.startswith("__") or name not in theirs.type_map:
            assert name.startswith("__")
            continue
        for field_name, field in getattr(type, "fields", {}).items():
            other = theirs.type_map[name].fields[field_name]
            assert str(field.type) == str(other.type), f"{name}.{field_name}"
            arguments = {key: str(value.type) for key, value in getattr(field, "args", {}).items()}
            assert arguments == {
                key: str(value.type) for key, value in getattr(other, "args", {}).items()
            }


async def test_typenames_are_answered_beside_every_object(gio, known):
    answer = await ask(
        gio,
        replaced(
            '{ segments(projectId: "WlGk4Daj") { __typename detector { __typename } } }', known
        ),
    )
    (segment,) = answer["data"]["segments"]
    assert segment == {"__typename": "Segment", "detector": {"__typename": "Detector"}}


@pytest.mark.usefixtures("known")
async def test_an_export_is_submitted_and_followed_by_its_global_id(gio, operations, scope, db):
    submitted = await ask(
        gio,
        """mutation { submitTagUserExportJobByKey(parameter: {
             tagKey: "tag_rfm", exportFileName: "文件a", properties: ["usr_gender"],
             charset: "utf-16le", detailExport: true }) {
             id name stage error { code message } creatorId createdAt } }""",
    )
    job = submitted["data"]["submitTagUserExportJobByKey"]
    assert job["stage"] == "NONE"
    assert job["error"] == {"code": "", "message": ""}
    assert re.fullmatch(r"DET-\d{12}-\d+", job["name"])
    assert "=" not in job["id"]
    short = short_id(job["id"])
    decoded = base64.b64decode(job["id"] + "==").decode()
    assert decoded == f"TagUserExportJobDto:{short}"
    for id in (job["id"], short):
        found = await ask(gio, f'{{ jobResult(id: "{id}") {{ id stage uris jsonData }} }}')
        assert found["data"]["jobResult"] == {
            "id": short,
            "stage": "NONE",
            "uris": None,
            "jsonData": None,
        }
    number = (await operations.hash_ids.known()).number(Noun.JOB, short)
    kept = await JobStore(db).find(scope, number, kind=JobKind.USER_LIST)
    table = kept.order["selection"]["table"]
    assert [column["header"] for column in table["columns"]] == ["gio_id", "tag_rfm", "usr_gender"]
    assert table["charset"] == "UTF-16LE"
    assert table["having"] == ["loyalty", "tier"]
    assert kept.order["user_list"]["file_name"] == "文件a.csv"


async def test_columns_are_headed_by_names_unless_details_are_asked_for(gio, known, db):
    query = replaced(
        """mutation { submitSegmentUserExportJob(projectId: "WlGk4Daj", segmentId: "qgQMXnD3",
             tags: ["mgGJj3GA"], properties: ["usr_gender", "ids_$basic_userId"]) { id name } }""",
        known,
    )
    made = (await ask(gio, query))["data"]["submitSegmentUserExportJob"]
    assert made["name"].startswith("DES-")
    row = await db.fetchrow("SELECT \"order\" FROM jobs WHERE kind = 'user_list' ORDER BY id DESC")
    order = row["order"]
    headers = [column["header"] for column in order["selection"]["table"]["columns"]]
    assert headers == ["gio_id", "会员等级", "性别", "用户ID"]
    assert order["user_list"]["file_name"] == "下载用户列表.csv"


async def test_a_job_that_failed_says_why_as_a_json_text(gio, operations, scope, known, db):
    id = known["U2VnbWVudFVzZXJFeHBvcnRKb2JEdG86d1dEcjdPUU0"]
    number = (await operations.hash_ids.known()).number(Noun.JOB, short_id(id))
    jobs = JobStore(db)
    job = await jobs.find(scope, number, kind=JobKind.USER_LIST)
    await jobs.move(job, JobEvent.CANCEL, actor="any", is_fenced=False)
    found = await ask(gio, f'{{ jobResult(id: "{id}") {{ stage uris jsonData }} }}')
    told = found["data"]["jobResult"]
    assert (told["stage"], told["uris"]) == ("ERROR", None)
    assert json.loads(told["jsonData"]) == {
        "code": "cancelled",
        "message": "the job was cancelled",
        "detail": "the job was cancelled",
    }
    chinese = await gio.post(
        "/graphql",
        json={"query": f'{{ jobResult(id: "{id}") {{ jsonData }} }}'},
        headers={"language": "CH"},
    )
    told = json.loads((await chinese.json())["data"]["jobResult"]["jsonData"])
    assert told["message"] == "任务已取消"


async def test_an_array_of_documents_is_answered_with_an_array(gio):
    answer = await gio.post("/graphql", json=[{"query": "{ version }"}, {"query": "{ nothing }"}])
    first, second = await answer.json()
    assert first["data"]["version"]
    assert second["errors"][0]["errorType"] == "ValidationError"


async def test_a_project_may_stand_in_the_path(gio, defined):
    answer = await gio.post(
        f"/projects/{defined.space}/graphql", json={"query": "{ dataCenterTags { key } }"}
    )
    assert (await answer.json())["data"]["dataCenterTags"] == [{"key": "tag_rfm"}]
    stranger = await gio.post("/projects/AAAAAAAA/graphql", json={"query": "{ version }"})
    assert stranger.status == 404


async def test_variables_and_operation_names_are_taken(gio, defined):
    answer = await ask(
        gio,
        "query A($p: HashId!) { tags(projectId: $p) { key } } query B { version }",
        variables={"p": defined.project},
        operationName="A",
    )
    assert answer == {"data": {"tags": [{"key": "tag_rfm"}]}}


@pytest.mark.parametrize("scheme", ["Bearer ", "Token ", ""])
async def test_tokens_are_taken_in_every_spelling(running, gio, scheme):
    token = gio.session.headers["Authorization"].removeprefix("Bearer ")
    async with TestClient(running, headers={"Authorization": f"{scheme}{token}"}) as client:
        assert (await ask(client, "{ version }"))["data"]["version"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Token nobody"}])
async def test_who_has_no_token_is_answered_401(running, headers):
    async with TestClient(running, headers=headers) as client:
        answer = await client.post("/graphql", json={"query": "{ version }"})
        assert answer.status == 401


@pytest.mark.usefixtures("defined")
@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('{ jobResult(id: "nothing!") { id } }', "not_found"),
        ('{ tags(projectId: "AAAAAAAA") { id } }', "not_found"),
        (
            'mutation { submitTagUserExportJobByKey(parameter: {tagKey: "tag_no"}) { id } }',
            "not_found",
        ),
        (
            (
                "mutation { submitTagUserExportJobByKey(parameter: "
                '{tagKey: "tag_rfm", charset: "latin"}) { id } }'
            ),
            "invalid_field",
        ),
        (
            (
                "mutation { submitTagUserExportJobByKey(parameter: "
                '{tagKey: "tag_rfm", properties: ["usr_no"]}) { id } }'
            ),
            "unknown_properties",
        ),
        (
            (
                "mutation { submitTagUserExportJobByKey(parameter: "
                '{tagKey: "tag_rfm", exportFileName: "../../x/y"}) { id } }'
            ),
            "invalid_field",
        ),
    ],
)
async def test_what_is_refused_is_told_with_200_and_a_type_that_clients_know(gio, query, code):
    answer = await ask(gio, query)
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == code
    assert error["errorType"] == "DataFetchingException"
    assert not any((answer["data"] or {}).values())


@pytest.mark.usefixtures("defined")
async def test_more_than_60_properties_are_refused(gio):
    keys = json.dumps([f"usr_{n}" for n in range(61)])
    answer = await ask(
        gio,
        "mutation { submitTagUserExportJobByKey(parameter: "
        f'{{tagKey: "tag_rfm", properties: {keys}}}) {{ id }} }}',
    )
    assert answer["errors"][0]["extensions"]["code"] == "too_many_properties"


async def test_tags_and_identities_of_a_segments_list_count_as_properties(gio, defined):
    """Sixty identities, and the tag, of which a segment's list is not."""
    (tag,) = (await ask(gio, "{ dataCenterTags { id } }"))["data"]["dataCenterTags"]
    listed = await ask(gio, f'{{ segments(projectId: "{defined.project}") {{ id }} }}')
    for n in range(30):
        identity = {"key": f"$n{n}", "name": f"n{n}", "namespace": "CRMID"}
        made = await gio.post(f"{defined.of_project}/user_identities", json=identity)
        assert made.status == 200
    keys = [f"{prefix}_$n{n}" for n in range(30) for prefix in ("id", "ids")]

    async def submitted(tags):
        return await ask(
            gio,
            "mutation { submitSegmentUserExportJob("
            f'projectId: "{defined.project}", segmentId: "{listed["data"]["segments"][0]["id"]}", '
            f"tags: {json.dumps(tags)}, properties: {json.dumps(keys)}) {{ id }} }}",
        )

    assert "errors" not in await submitted([])
    (error,) = (await submitted([tag["id"]]))["errors"]
    assert error["extensions"]["code"] == "too_many_properties"


async def test_what_is_not_there_is_null(gio, defined):
    project = defined.project
    answer = await ask(
        gio,
        f'{{ tag(projectId: "{project}", id: "AAAAAAAA") {{ id }} '
        f'segment(projectId: "{project}", id: "AAAAAAAA") {{ id }} '
        f'a: userProfile(projectId: "{project}", userId: "99", properties: ["usr_age"]) {{ id }} '
        f'b: userProfile(projectId: "{project}", userId: "x", properties: ["usr_age"]) {{ id }} }}',
    )
    assert answer == {"data": {"tag": None, "segment": None, "a": None, "b": None}}


async def test_a_foreign_organisation_sees_nothing(foreign_gio, known, defined):
    id = known["U2VnbWVudFVzZXJFeHBvcnRKb2JEdG86d1dEcjdPUU0"]
    for query in (
        f'{{ jobResult(id: "{id}") {{ id }} }}',
        f'{{ tags(projectId: "{defined.project}") {{ id }} }}',
        f'{{ segments(projectId: "{defined.space}") {{ id }} }}',
    ):
        answer = await ask(foreign_gio, query)
        assert answer["errors"][0]["extensions"]["code"] == "not_found"
    assert (await ask(foreign_gio, "{ dataCenterTags { id } }"))["data"] == {"dataCenterTags": []}


async def test_documents_that_are_too_deep_or_too_costly_are_refused(gio):
    deep = "{ projects " + "{ projectMembers { member { enterableProjects " * 5 + "{ id }"
    answer = await ask(gio, deep + " } } }" * 5 + " }")
    assert f"more than {MOST_DEPTH} deep" in answer["errors"][0]["message"]
    wide = "{" + "version " * (MOST_COST + 1) + "}"
    assert "costs" in (await ask(gio, wide))["errors"][0]["message"]
    many = " ".join(f'm{n}: submitTagUserExportJob(tagId: "AAAAAAAA") {{ id }}' for n in range(12))
    assert "costs" in (await ask(gio, f"mutation {{ {many} }}"))["errors"][0]["message"]
    users = " ".join(f'u{n}: dataCenterUserProfile(userId: "{n}") {{ id }}' for n in range(41))
    assert "costs" in (await ask(gio, f"{{ {users} }}"))["errors"][0]["message"]
    endless = "{ projects { ...a } } fragment a on Project { projectMembers { member { "
    endless += "enterableProjects { ...a } } } }"
    assert (await ask(gio, endless))["errors"]
    several = "".join(f" fragment F{n} on Query {{ version }}" for n in range(MOST_FRAGMENTS + 1))
    assert "fragments" in (await ask(gio, "{ version }" + several))["errors"][0]["message"]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{ " + "version " * MOST_TOKENS + "}", f"more than {MOST_TOKENS} tokens"),
        ("#" * MOST_CHARACTERS + "\n{ version }", f"{MOST_CHARACTERS} is the most"),
    ],
)
async def test_documents_that_take_long_to_read_are_refused(gio, document, problem):
    (error,) = (await ask(gio, document))["errors"]
    assert problem in error["message"]
    assert error["errorType"] in {"InvalidSyntax", "ValidationError"}


async def test_a_document_that_is_too_costly_is_not_looked_at_any_further(gio):
    (error,) = (await ask(gio, "{ " + "nothing " * (MOST_COST + 1) + "}"))["errors"]
    assert "costs" in error["message"]


async def test_text_that_the_database_cannot_keep_is_refused(gio):
    query = '{ dataCenterUserProfile(userId: "1", properties: ["a\\u0000b"]) { id } }'
    (error,) = (await ask(gio, query))["errors"]
    assert (error["errorType"], "U+0000" in error["message"]) == ("ValidationError", True)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]" * 2, b'{"query": 1}', b'{"query": "{ version }", "variables": 1}']
)
async def test_bodies_that_are_no_documents_are_refused(gio, body):
    answer = await gio.post("/graphql", data=body, headers={"Content-Type": "application/json"})
    assert answer.status == 400


@pytest.mark.parametrize(
    "document",
    [
        "{ version",
        "{ nothing }",
        '{ jobResult(id: "nothing!") { id } }',
        "{ tags { id } }",
        '{ dataCenterUserProfile(userId: "1", tags: [{a: "b"}]) { id } }',
        "mutation { submitTagUserExportJob(tagId: [1]) { id } }",
    ],
)
async def test_what_callers_do_wrong_is_logged_as_no_defect(gio, caplog, capfd, document):
    assert (await ask(gio, document))["errors"]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err


async def test_a_defect_of_a_resolver_is_logged_once_and_told_with_no_word_of_it(
    gio, operations, monkeypatch
):
    async def broken(**_):
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(type(operations.projects), "all", lambda _, **__: broken())
    (error,) = (await ask(gio, "{ projects { id } }"))["errors"]
    assert error["extensions"]["code"] == "defect"
    assert "secret" not in json.dumps(error)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "document.query: Field required"),
        (5, "document: Input should be an object"),
        ({"query": "{ version }", "variables": []}, "document.variables: Input should be an obj"),
        ([{"query": "{ version }"}, {}], "documents.1.query: Field required"),
        ([{"query": "{ version }"}] * 21, "documents: List should have at most 20 items"),
    ],
)
async def test_what_is_wrong_with_a_body_is_told_of_the_form_it_has(gio, body, problem):
    answer = await gio.post("/graphql", json=body)
    told = await answer.json()
    assert answer.status == 400
    assert told["detail"].startswith(problem)
    assert "; " not in told["detail"]


@pytest.mark.parametrize("id", [5, 1.5, True, {"a": 1}, ["x"]])
async def test_an_id_is_a_text(gio, id):
    query = "query($id: HashId!) { tags(projectId: $id) { id } }"
    (error,) = (await ask(gio, query, variables={"id": id}))["errors"]
    assert error["errorType"] == "ValidationError"
    assert "HashId is a text" in error["message"]


async def test_a_syntax_error_is_told(gio):
    (error,) = (await ask(gio, "{ version"))["errors"]
    assert error["errorType"] == "InvalidSyntax"


async def test_the_schema_is_served_as_it_is_checked_in(gio):
    answer = await gio.get("/graphql/schema")
    served = await answer.text()
    assert served == Path("service/surfaces/graphql/schema.graphql").read_text()
    assert print_ast(parse(served))


@pytest.mark.usefixtures("defined")
async def test_a_token_without_the_scope_is_told_so(operations, scope, running):
    _, token = await operations.personal_tokens.make(
        "reader", frozenset({"properties:read"}), by=a_caller(scope)
    )
    async with TestClient(running, headers={"Authorization": token}) as client:
        answer = await ask(
            client,
            'mutation { submitTagUserExportJobByKey(parameter: {tagKey: "tag_rfm"}) { id } }',
        )
        assert answer["errors"][0]["extensions"]["code"] == "insufficient_scope"


def a_property(value_type):
    return Property(
        number=PropertyNumber(1),
        kind=PropertyKind.USER,
        key="usr_any",
        name="any",
        description="",
        path=("any",),
        namespace=None,
        value_type=value_type,
        is_array=False,
        created_by="any",
        updated_by="any",
        created_at=NOON,
        updated_at=NOON,
    )


@pytest.mark.parametrize(
    ("value", "value_type", "spelt"),
    [
        ("2021-01-08T05:19:10.900000Z", ValueType.DATE, "1610083150900"),
        ("2021-01-08T05:19:10.9+08:00", ValueType.DATE, "1610054350900"),
        ("1970-01-02", ValueType.DATE, "86400000"),
        (["1970-01-02", None], ValueType.DATE, '["86400000", null]'),
        ("1970-01-02", ValueType.STRING, "1970-01-02"),
        ([1, "a", "中"], ValueType.STRING, '[1, "a", "中"]'),
        (True, ValueType.STRING, "true"),
        (1.5, ValueType.DOUBLE, "1.5"),
        (None, ValueType.DATE, None),
    ],
)
def test_values_are_texts(value, value_type, spelt):
    assert text(value, a_property(value_type)) == spelt


@given(st.integers(1, 1 << 34))
def test_an_id_is_read_as_it_is_and_out_of_a_global_one(number):
    """Some of one in a few thousand are base64 of a text with a colon in it."""
    short = HashIds(b"any").of(Noun.JOB, number)
    assert short_id(short) == short
    assert short_id(global_id("TagUserExportJobDto", short)) == short


def test_an_id_that_is_base64_of_a_colon_is_no_global_one():
    assert short_id("xZM9OjZy") == "xZM9OjZy"
