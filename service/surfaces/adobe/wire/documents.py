"""Bodies whose keys are the caller's to choose, and changes to them by JSON Patch (RFC 6902).

Of the patch operations ``move`` and ``copy`` are not taken: no known client sends them, and a
few repeated copies make a document of any size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Discriminator, RootModel, Tag, model_validator

from catalog.errors import InvalidField


class Document(RootModel[dict[str, Any]]):
    """Any object. Numbers that JSON does not have (NaN, 1e999) are refused: they cannot be kept."""

    @model_validator(mode="after")
    def _is_json(self) -> Self:
        json.dumps(self.root, allow_nan=False)
        return self


class Operation(BaseModel):
    """One step of a JSON Patch."""

    op: Literal["add", "replace", "remove", "test"]
    path: str
    value: Any = None

    @model_validator(mode="after")
    def _is_json(self) -> Self:
        json.dumps(self.value, allow_nan=False)
        return self


def _form(body: object) -> str:
    return "list" if isinstance(body, list) else "object"


class Patch(
    RootModel[
        Annotated[
            Annotated[list[Operation], Tag("list")] | Annotated[Operation, Tag("object")],
            Discriminator(_form),
        ]
    ]
):
    """A JSON Patch, or its only operation by itself."""

    def applied(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document changed; see :func:`patched`."""
        operations = self.root if isinstance(self.root, list) else [self.root]
        return patched(document, operations)


class Change(
    RootModel[
        Annotated[
            Annotated[list[Operation], Tag("list")] | Annotated[Document, Tag("object")],
            Discriminator(_form),
        ]
    ]
):
    """A JSON Patch, or an object that says only what is to be different."""

    def applied(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document changed; see :func:`patched` and :func:`merged`."""
        if isinstance(self.root, list):
            return patched(document, self.root)
        return merged(document, self.root.root)


def patched(document: Mapping[str, Any], operations: Sequence[Operation]) -> dict[str, Any]:
    """Apply a patch to a copy of a document; refuses with InvalidField, naming the path.

    ``replace`` also makes a member that is not there, which RFC 6902 forbids: one known client
    replaces the tags of data sets that have none.
    """
    result: Any = deepcopy(dict(document))
    for operation in operations:
        if not operation.path.startswith("/"):
            raise _refusal(operation, "a path starts with a slash and names a member")
        *above, last = (
            step.replace("~1", "/").replace("~0", "~") for step in operation.path[1:].split("/")
        )
        target = result
        for step in above:
            target = _member(target, step, operation)
        if isinstance(target, dict):
            _change_object(target, last, operation)
        elif isinstance(target, list):
            _change_array(target, last, operation)
        else:
            raise _refusal(operation, "leads below a value that has no members")
    return dict(result)


def merged(document: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Lay an object over another, objects member by member; null removes (RFC 7396)."""
    result = dict(document)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = value
    return result


def _member(target: object, step: str, operation: Operation) -> object:
    if isinstance(target, dict) and step in target:
        return target[step]
    if isinstance(target, list):
        return target[_index(step, len(target) - 1, operation)]
    raise _refusal(operation, f"there is no {step!r} on the way")


def _change_object(target: dict[str, Any], key: str, operation: Operation) -> None:
    match operation.op:
        case "add" | "replace":
            target[key] = deepcopy(operation.value)
        case "remove":
            if key not in target:
                raise _refusal(operation, "there is nothing to remove")
            del target[key]
        case "test":
            if key not in target or target[key] != operation.value:
                raise _refusal(operation, "the test fails")


def _change_array(target: list[Any], step: str, operation: Operation) -> None:
    match operation.op:
        case "add":
            end = len(target)
            target.insert(
                end if step == "-" else _index(step, end, operation), deepcopy(operation.value)
            )
        case "replace":
            target[_index(step, len(target) - 1, operation)] = deepcopy(operation.value)
        case "remove":
            del target[_index(step, len(target) - 1, operation)]
        case "test":
            if target[_index(step, len(target) - 1, operation)] != operation.value:
                raise _refusal(operation, "the test fails")


def _index(step: str, most: int, operation: Operation) -> int:
    if not (step.isascii() and step.isdigit() and len(step) < len("1000000")) or int(step) > most:
        raise _refusal(operation, f"{step!r} is no index from 0 to {most}")
    return int(step)


def _refusal(operation: Operation, problem: str) -> InvalidField:
    return InvalidField(f"{operation.op} {operation.path}", problem)
