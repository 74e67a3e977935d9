"""openapi.yaml as tests read it, and the service held to it.

A client must tolerate keys it does not know, so the specification leaves most objects open. The
service must not send any: here every object whose schema does not say ``additionalProperties``
is closed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiohttp import hdrs, web
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from service.app import written
from service.surfaces.growingio.callers import speaks_at

FILE = Path(__file__).parents[1] / "openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
METHODS = ("get", "head", "post", "put", "patch", "delete")

#: Sent by the HTTP library or for browsers, and of no concern to a client of an operation.
OF_THE_TRANSPORT = frozenset(
    {"connection", "content-type", "content-length", "content-security-policy", "date"}
    | {"last-modified", "pragma", "referrer-policy", "server", "x-content-type-options"}
    | {"cache-control", "cross-origin-resource-policy"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation, with the parameters of its path among its own."""

    method: str
    path: str
    document: Mapping[str, Any]
    parameters: tuple[Mapping[str, Any], ...]

    @property
    def id(self) -> str:
        return str(self.document["operationId"])

    @property
    def template(self) -> str:
        return template(self.path)

    @property
    def responses(self) -> dict[int, Mapping[str, Any]]:
        return {int(code): resolved(each) for code, each in self.document["responses"].items()}

    def named(self, place: str) -> dict[str, Mapping[str, Any]]:
        """The parameters that come in one place, by name."""
        return {each["name"]: each for each in self.parameters if each["in"] == place}


def resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part itself, or what it refers to; what is said beside the reference counts too."""
    if "$ref" not in part:
        return part
    target: Any = DOCUMENT
    for step in part["$ref"].removeprefix("#/").split("/"):
        target = target[step.replace("~1", "/").replace("~0", "~")]
    return {**resolved(target), **{key: each for key, each in part.items() if key != "$ref"}}


def template(path: str) -> str:
    """A path without the names of its parameters: routes and specification name them apart."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def _operations() -> Iterator[Operation]:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                own = item[method].get("parameters", [])
                shared = item.get("parameters", [])
                yield Operation(
                    method=method.upper(),
                    path=path,
                    document=item[method],
                    parameters=tuple(resolved(each) for each in (*shared, *own)),
                )


OPERATIONS = {each.id: each for each in _operations()}
BY_ROUTE = {(each.method, each.template): each for each in OPERATIONS.values()}


def _closed(part: Any) -> Any:
    """The same with every object closed that does not say that it is open."""
    if isinstance(part, list):
        return [_closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    result = {key: _closed(each) for key, each in part.items()}
    is_object = result.get("type") == "object" and isinstance(result.get("properties"), dict)
    return {"additionalProperties": False, **result} if is_object else result


def _registry() -> Registry[Any]:
    document = deepcopy(DOCUMENT)
    document["components"]["schemas"] = _closed(document["components"]["schemas"])
    return Registry().with_resource("urn:openapi", DRAFT202012.create_resource(document))


REGISTRY = _registry()


def violations(value: object, schema: Mapping[str, Any]) -> list[str]:
    """What is wrong with a value by a schema of the specification, each with its place."""
    validator = Draft202012Validator({"$id": "urn:part", **_absolute(schema)}, registry=REGISTRY)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def _absolute(part: Any) -> Any:
    """References in a part of the document, as they are seen from outside of it."""
    if isinstance(part, list):
        return [_absolute(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: "urn:openapi" + each if key == "$ref" and isinstance(each, str) else _absolute(each)
        for key, each in part.items()
    }


class Conformance:
    """Notes every answer of an application that its specification does not allow."""

    def __init__(self, app: web.Application) -> None:
        self.violations: list[str] = []
        app.on_response_prepare.append(self._check)

    async def _check(self, request: web.Request, response: web.StreamResponse) -> None:
        found = list(_broken_promises(request, response))
        self.violations += [f"{request.method} {request.path}: {each}" for each in found]


def _broken_promises(request: web.Request, response: web.StreamResponse) -> Iterator[str]:
    route = template(written(request))
    operation = BY_ROUTE.get((request.method, route))
    if operation is None and request.method == hdrs.METH_HEAD:
        operation = BY_ROUTE.get((hdrs.METH_GET, route))
    if operation is None:
        if response.status not in {400, 401, 403, 404, 405, 414, 503}:
            yield f"{response.status} from a route the specification does not have"
        else:
            body = "GioFailure" if speaks_at(request.path.lower()) else "Problem"
            yield from _wrong_body(response, {"$ref": f"#/components/schemas/{body}"})
        return
    promised = operation.responses.get(response.status)
    if promised is None:
        yield f"{operation.id} does not promise status {response.status}: {_said(response)}"
        return
    documented = {name.lower() for name in promised.get("headers", {})}
    if request.method != hdrs.METH_HEAD:
        sent = {name.lower() for name in response.headers} - OF_THE_TRANSPORT
        if unknown := sorted(sent - documented - {"x-request-id"}):
            yield f"{operation.id} does not promise headers {unknown} with {response.status}"
        yield from _wrong_content(operation, promised, response)


def _wrong_content(
    operation: Operation, promised: Mapping[str, Any], response: web.StreamResponse
) -> Iterator[str]:
    content = promised.get("content", {})
    if not content:
        if isinstance(response, web.Response) and response.body:
            yield f"{operation.id} promises no body with {response.status}"
        return
    if response.content_type not in content:
        yield f"{operation.id} does not promise {response.content_type} with {response.status}"
    elif response.content_type == "application/json":
        for problem in _wrong_body(response, content["application/json"]["schema"]):
            yield f"{operation.id}, {response.status}: {problem}"


def _wrong_body(response: web.StreamResponse, schema: Mapping[str, Any]) -> list[str]:
    return violations(json.loads(_said(response)), schema)


def _said(response: web.StreamResponse) -> bytes:
    assert isinstance(response, web.Response)
    assert isinstance(response.body, bytes)
    return response.body
