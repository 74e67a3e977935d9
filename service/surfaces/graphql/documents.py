"""Answers documents: one, or an array of them one after the other."""

from __future__ import annotations

import logging
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import structlog
from aiohttp import web
from ariadne import graphql, make_executable_schema
from graphql import GraphQLError, GraphQLSchema
from pydantic import BaseModel, Discriminator, Field, RootModel, Tag

from catalog.errors import Refusal
from service.surfaces.graphql import limits
from service.surfaces.graphql.asking import Asking
from service.surfaces.graphql.queries import QUERY
from service.surfaces.graphql.scalars import HASH_ID
from service.surfaces.graphql.submissions import MUTATION
from service.surfaces.growingio.languages import explained, failure, language_of
from service.surfaces.growingio.places import place_of
from service.surfaces.http import CALLER, OPERATIONS, answer, defect_detail, read

LOG = structlog.stdlib.get_logger("service.graphql")

_SCHEMA = Path(__file__).with_name("schema.graphql")

#: Documents in one array. Ours: the front end that batches sends a handful.
MOST_DOCUMENTS = 20

#: Ariadne logs whatever goes wrong, also what callers do wrong; what matters is logged here.
_SILENT = logging.getLogger("service.graphql.silent")
_SILENT.disabled = True


class Document(BaseModel):
    """What a caller posts."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: Annotated[str | None, Field(alias="operationName")] = None


_One = Annotated[Document, Tag("document")]
_Several = Annotated[list[Document], Field(max_length=MOST_DOCUMENTS), Tag("documents")]


def _form(body: object) -> str:
    return "documents" if isinstance(body, list) else "document"


class Documents(RootModel[Annotated[_One | _Several, Discriminator(_form)]]):
    """One document, or several: what is wrong with a body is told of the one that it is."""


@cache
def schema() -> GraphQLSchema:
    return make_executable_schema(_sdl(), QUERY, MUTATION, HASH_ID)


async def ask(request: web.Request) -> web.Response:
    """Answer documents, always with 200: what is wrong with one stands in its answer."""
    asked = (await read(request, Documents)).root
    if isinstance(asked, Document):
        return answer(await _answered(request, asked))
    return answer([await _answered(request, each) for each in asked])


async def sdl(_request: web.Request) -> web.Response:
    """The schema in its own language."""
    return web.Response(text=_sdl(), content_type="text/plain", charset="utf-8")


@cache
def _sdl() -> str:
    return _SCHEMA.read_text(encoding="utf-8")


async def _answered(request: web.Request, asked: Document) -> dict[str, Any]:
    operations = request.app[OPERATIONS]
    asking = Asking(
        operations=operations,
        caller=request[CALLER],
        ids=await operations.hash_ids.known(),
        home=await place_of(request),
        language=language_of(request),
    )

    def told(error: GraphQLError, _debug: bool) -> dict[str, Any]:  # noqa: FBT001
        return _error(request, error)

    _, result = await graphql(
        schema(),
        asked.model_dump(by_alias=True, exclude_none=True),
        query_parser=lambda _, data: limits.read(data["query"], schema()),
        context_value=asking,
        error_formatter=told,
        logger=_SILENT,
    )
    found: dict[str, Any] = result
    return found


def _error(request: web.Request, error: GraphQLError) -> dict[str, Any]:
    """Word an error: what a caller can act on, or that the service failed.

    ``errorType`` is one of the five that a known client decodes.
    """
    cause = error.original_error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    told: dict[str, Any] = dict(error.formatted)
    if isinstance(cause, Refusal):
        told["message"] = explained(cause, language_of(request))
        told["extensions"] = {"code": cause.code, "detail": str(cause)}
        told["errorType"] = "DataFetchingException"
    elif cause is not None and not isinstance(cause, GraphQLError) and error.path is not None:
        LOG.error("a resolver failed", exc_info=cause, path=error.path)
        detail = defect_detail(request)
        told["message"] = failure(detail, HTTPStatus.INTERNAL_SERVER_ERROR, language_of(request))
        told["extensions"] = {"code": "defect", "detail": detail}
        told["errorType"] = "DataFetchingException"
    else:
        is_syntax = told["message"].startswith("Syntax Error")
        told["errorType"] = "InvalidSyntax" if is_syntax else "ValidationError"
    return told


ROUTES = [
    web.post("/graphql", ask),
    web.post("/projects/{project}/graphql", ask),
    web.get("/graphql/schema", sdl),
]
