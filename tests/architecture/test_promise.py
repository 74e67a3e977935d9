"""The specification, the routes and the models that read requests say the same.

Which model reads a request is taken from the handler itself: a handler says ``read(request,
Model)`` or ``query(request, Model)`` and, where a body has keys of the caller's choosing,
``checked(Model, body.root, ...)``. A property that no model reads must say that it is without
effect.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from importlib.metadata import version
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from openapi_spec_validator import validate
from pydantic import AliasChoices, BaseModel, RootModel, TypeAdapter
from pydantic.fields import FieldInfo

from catalog import errors
from catalog.audit import Action, ObjectKind
from service.app import ROUTES
from service.surfaces.adobe.errors import STATUS
from service.surfaces.adobe.wire.documents import Document
from tests.architecture.test_repository import refusals
from tests.specification import (
    BY_ROUTE,
    DOCUMENT,
    OPERATIONS,
    Operation,
    resolved,
    template,
    violations,
)

#: Read by name, from a form or the query: no model stands for them.
READ_BY_NAME = {"issueToken", "issueTokenByQuery", "issueAccessToken"}

#: Below these a caller is asked who they are.
GUARDED = ("/data/", "/v1/api/", "/v2/api/", "/download", "/graphql", "/projects/")

#: Answered by the HTTP library or by the outermost handler; no refusal stands for them.
OF_NO_REFUSAL = {"method_not_allowed": 405, "range_not_satisfiable": 416, "defect": 500}

HANDLERS = {(route.method, template(route.path)): route.handler for route in ROUTES}


def test_it_is_openapi():
    validate(DOCUMENT)


def test_it_is_of_this_release():
    assert DOCUMENT["info"]["version"] == version("profile-exports")


def test_every_route_is_promised():
    assert set(HANDLERS) - set(BY_ROUTE) == set()


def test_every_promise_has_its_route():
    """HEAD is answered by whatever answers GET."""
    answered = set(HANDLERS) | {("HEAD", path) for method, path in HANDLERS if method == "GET"}
    assert set(BY_ROUTE) - answered == set()


def test_calls_are_guarded_as_promised():
    for operation in OPERATIONS.values():
        is_open = operation.document.get("security") == []
        assert is_open is not operation.path.startswith(GUARDED), operation.id


def test_every_refusal_is_listed_with_its_status():
    listed = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", DOCUMENT["info"]["description"], re.MULTILINE)
    expected = {refusal.code: status_of(refusal) for refusal in refusals()} | OF_NO_REFUSAL
    assert {code: int(status) for code, status in listed} == expected
    assert len(listed) == len(expected)


def status_of(refusal: type[errors.Refusal]) -> int:
    known = (STATUS[kind].value for kind in refusal.__mro__ if kind in STATUS)
    return next(known, 400)


@pytest.mark.parametrize(
    ("name", "kind"), [("AuditAction", Action), ("AuditObjectKind", ObjectKind)]
)
def test_the_audit_log_has_the_words_that_are_promised(name: str, kind: type[Enum]):
    assert DOCUMENT["components"]["schemas"][name]["enum"] == [each.value for each in kind]


def test_operations_are_named_by_what_they_do():
    ids = [each["operationId"] for each in documents()]
    assert len(ids) == len(set(ids))
    assert [id for id in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", id)] == []


def documents() -> list[Mapping[str, Any]]:
    return [operation.document for operation in OPERATIONS.values()]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_operation_can_be_understood_without_its_code(operation: Operation):
    assert operation.document["summary"]
    assert operation.document["description"]
    assert {*operation.document["tags"]} <= {tag["name"] for tag in DOCUMENT["tags"]}
    for parameter in operation.parameters:
        assert parameter["description"], parameter["name"]
    for response in operation.responses.values():
        assert response["description"]


def test_every_example_is_what_it_is_an_example_of():
    found = list(examples())
    assert len(found) > 100
    wrong = {
        where: problem for where, value, schema in found for problem in violations(value, schema)
    }
    assert wrong == {}


def examples() -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Every example of a parameter, a body and an answer, with its schema."""
    for operation in OPERATIONS.values():
        for parameter in operation.parameters:
            if "example" in parameter:
                where = f"{operation.id} {parameter['name']}"
                yield where, parameter["example"], parameter["schema"]
        for name, content in contents(operation).items():
            is_json = name.endswith("application/json")
            assert not is_json or "example" in content or "examples" in content, name
            for value in values(content):
                yield name, value, content["schema"]


def contents(operation: Operation) -> dict[str, Mapping[str, Any]]:
    body = operation.document.get("requestBody", {}).get("content", {})
    found = {f"{operation.id} {media}": content for media, content in body.items()}
    for status, response in operation.responses.items():
        for media, content in response.get("content", {}).items():
            found[f"{operation.id} {status} {media}"] = content
    return found


def values(content: Mapping[str, Any]) -> list[Any]:
    named = [resolved(each)["value"] for each in content.get("examples", {}).values()]
    return [*named, *([content["example"]] if "example" in content else [])]


def calls_in(handler: Callable[..., Any]) -> Iterator[tuple[str, list[ast.expr]]]:
    """Every call a handler makes, by its function's name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(handler)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.args


def models(handler: Callable[..., Any], *, of: Literal["body", "query"]) -> list[type[BaseModel]]:
    """The models a handler reads a part of a request with."""
    found = []
    for name, arguments in calls_in(handler):
        if name == ("read" if of == "body" else "query"):
            found.append(arguments[1])
        if name == "checked" and of == "body" and ast.unparse(arguments[1]) == "body.root":
            found.append(arguments[0])
    evaluated = [eval(ast.unparse(each), inspect.unwrap(handler).__globals__) for each in found]  # noqa: S307 -- our own source
    return [model for model in evaluated if model is not Document or len(evaluated) == 1]


def names_in_query(handler: Callable[..., Any]) -> set[str]:
    """The parameters a handler, or a function of its module that it calls, asks for by name."""
    module = inspect.getmodule(handler)
    names = set()
    for name, arguments in calls_in(handler):
        if name in {"request.query.get", "request.query.getall"}:
            names.add(ast.literal_eval(arguments[0]))
        called = getattr(module, name, None)
        if inspect.isfunction(called) and called.__module__ == handler.__module__:
            names |= names_in_query(called)
    return names


WITH_HANDLERS = [
    pytest.param(operation, HANDLERS[operation.method, operation.template], id=operation.id)
    for operation in OPERATIONS.values()
    if (operation.method, operation.template) in HANDLERS and operation.id not in READ_BY_NAME
]


@pytest.mark.parametrize(("operation", "handler"), WITH_HANDLERS)
def test_what_is_read_of_the_query_is_what_is_promised(
    operation: Operation, handler: Callable[..., Any]
):
    promised = operation.named("query")
    read = {
        name: field
        for model in models(handler, of="query")
        for field_name, field in model.model_fields.items()
        for name in names_of(model, field_name, field)
    }
    by_name = names_in_query(handler)
    assert {name for name, each in promised.items() if has_effect(each)} == set(read) | by_name
    for name, field in read.items():
        schema = resolved(promised[name]["schema"])
        adapter = TypeAdapter(Annotated[field.annotation, "of a field", *field.metadata])
        for key, value in limits_of(adapter.json_schema()).items():
            assert schema.get(key) == value, name
        if not promised[name].get("deprecated") and not field.is_required():
            assert schema.get("default") == field.get_default(), name


@pytest.mark.parametrize(("operation", "handler"), WITH_HANDLERS)
def test_what_is_read_of_a_body_is_what_is_promised(
    operation: Operation, handler: Callable[..., Any]
):
    content = operation.document.get("requestBody", {}).get("content", {})
    promised = content.get("application/json")
    read = models(handler, of="body")
    assert bool(read) == bool(promised)
    for model in read:
        hold(promised["schema"], model, operation.id)


def hold(
    schema: Mapping[str, Any],
    model: type[BaseModel],
    where: str,
    beside: frozenset[str] = frozenset(),
) -> None:
    """Compare a model, and all below it, with the schema that stands for it.

    ``beside`` are names that another form of the same body has.
    """
    if model is Document:
        return
    if issubclass(model, RootModel):
        below = models_in(model.model_fields["root"].annotation)
        known = frozenset().union(*map(names_read, below))
        for each in below:
            hold(schema, each, where, known)
        return
    promised, read = properties(schema), set(beside)
    for field_name, field in model.model_fields.items():
        names = names_of(model, field_name, field)
        read |= names
        assert names <= set(promised), f"{where} does not promise {names}"
        is_required = bool(names & required(schema))
        assert is_required is field.is_required() or len(names) > 1, f"{where}.{field_name}"
        for name in names:
            enumerated = resolved(promised[name]).get("enum")
            known = words(field.annotation)
            assert not (enumerated and known) or {*enumerated} - {None} == known, name
            for below in models_in(field.annotation):
                hold(promised[name], below, f"{where}.{name}")
    if not says_any_key(schema):
        assert {name for name in promised if has_effect(promised[name])} <= read, where


def names_read(model: type[BaseModel]) -> frozenset[str]:
    """The names of all fields of a model in a request."""
    fields = model.model_fields.items()
    return frozenset().union(*(names_of(model, name, field) for name, field in fields))


def names_of(model: type[BaseModel], field_name: str, field: FieldInfo) -> set[str]:
    """All names a field goes by in a request, but for its own where it has others."""
    alias = field.validation_alias or field.alias or field_name
    assert isinstance(alias, str | AliasChoices), model
    return {alias} if isinstance(alias, str) else {str(each) for each in alias.choices}


def models_in(annotation: object) -> list[type[BaseModel]]:
    """The models a field may hold, directly or in lists and unions."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for each in get_args(annotation) for model in models_in(each)]


def words(annotation: object) -> set[object]:
    """The words a field may hold, if it is of those that list them."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return {each.value for each in annotation}
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {word for each in get_args(annotation) for word in words(each)}


def alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The schemas of objects that a schema may stand for, directly or in arrays."""
    whole = resolved(schema)
    below = [*whole.get("anyOf", []), *whole.get("oneOf", [])]
    items = [whole["items"]] if "items" in whole else []
    found = [each for one in (*below, *items) for each in alternatives(one)]
    return [whole, *found] if "properties" in whole else found


def properties(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: each for one in alternatives(schema) for name, each in one["properties"].items()}


def required(schema: Mapping[str, Any]) -> set[str]:
    return {name for one in alternatives(schema) for name in one.get("required", [])}


def says_any_key(schema: Mapping[str, Any]) -> bool:
    """Whether one of several forms of a body is an object of any keys, which no model names."""
    several = alternatives(schema)
    return len(several) > 1 and any(one.get("additionalProperties") is True for one in several)


def has_effect(part: Mapping[str, Any]) -> bool:
    return "without effect" not in resolved(part).get("description", "")


def limits_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The limits of a number that may also be missing, in the words of JSON Schema."""
    forms = [schema, *schema.get("anyOf", [])]
    return {key: one[key] for one in forms for key in ("minimum", "maximum") if key in one}
