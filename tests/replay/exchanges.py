"""Requests as the contract documents them and the answers it promises, kept as files.

A scenario is a folder. Each of its exchanges is two files of one name, ``NN-name.request`` and
``NN-name.response``, replayed in the order of their names against one fresh service.

A request names, in lines that begin with ``#``, the calls and rows of the contract sheet that it
stands for (``# 1.1 POST /export/jobs``); then come its line, its headers, and after an empty line
its body. ``# repeat`` sends it again until the answer is as expected; ``# idle`` sends it while no
worker runs. A response is its status, headers that must be there, and its body. Both may hold:

* ``${name}``: what an earlier answer held in this place; where nothing is known yet, it is kept;
* ``<number>``, ``<string>``, ``<time>``, ``<any>`` and the other words of :data:`KINDS`: any value
  of the kind;
* ``"...": "..."`` in an object and ``"..."`` at the end of an array: others may follow;
* a key that ends with ``?``: it may be missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Kinds of value by the word that stands for them.
KINDS: dict[str, Callable[[Any], bool]] = {
    "<any>": lambda _: True,
    "<bool>": lambda value: isinstance(value, bool),
    "<digits>": lambda value: isinstance(value, str) and value.isdecimal(),
    "<list>": lambda value: isinstance(value, list),
    "<ms>": lambda value: isinstance(value, int) and value > 1_500_000_000_000,
    "<number>": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "<object>": lambda value: isinstance(value, dict),
    "<seconds>": lambda value: isinstance(value, int) and 1_500_000_000 < value < 10_000_000_000,
    "<string>": lambda value: isinstance(value, str) and value != "",
    "<time>": lambda value: isinstance(value, str) and RFC_3339.fullmatch(value) is not None,
    "<url>": lambda value: isinstance(value, str) and value.startswith("http"),
    "<version>": lambda value: isinstance(value, str) and VERSION.fullmatch(value) is not None,
}
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
VERSION = re.compile(r"\d+(\.\d+)*")
_NAME = re.compile(r"\$\{(\w+)\}")
_OTHERS = "..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what must be answered, as written."""

    name: str
    stands_for: tuple[str, ...]
    is_repeated: bool
    is_idle: bool
    method: str
    target: str
    headers: dict[str, str]
    body: str
    status: int
    answered_headers: dict[str, str]
    answered_body: str


def scenario(folder: Path) -> Iterator[Exchange]:
    """The exchanges of a folder in their order; each must be whole."""
    for file in sorted(folder.glob("*.request")):
        notes, line, headers, body = _parts(file)
        method, _, target = line.partition(" ")
        answer_notes, status, answered_headers, answered_body = _parts(
            file.with_suffix(".response")
        )
        assert not answer_notes, f"{file}: a response stands for nothing by itself"
        yield Exchange(
            name=file.stem,
            stands_for=tuple(note for note in notes if note not in {"repeat", "idle"}),
            is_repeated="repeat" in notes,
            is_idle="idle" in notes,
            method=method,
            target=target,
            headers=headers,
            body=body,
            status=int(status),
            answered_headers=answered_headers,
            answered_body=answered_body,
        )


def _parts(file: Path) -> tuple[list[str], str, dict[str, str], str]:
    """A file's notes, first line, headers and body."""
    head, _, body = file.read_text(encoding="utf-8").partition("\n\n")
    lines = head.splitlines()
    notes = [line[1:].strip() for line in lines if line.startswith("#")]
    first, *headers = (line for line in lines if not line.startswith("#"))
    named = dict(line.split(": ", 1) for line in headers)
    return notes, first, named, body.removesuffix("\n")


class Known:
    """What answers held in the places that were given names."""

    def __init__(self, **values: object) -> None:
        self._values: dict[str, Any] = values

    def filled(self, text: str) -> str:
        """The text with every name replaced by what it stands for."""
        return _NAME.sub(lambda found: str(self._values[found[1]]), text)

    def differences(self, expected: Any, found: Any, place: str = "$") -> list[str]:
        """Where an answer is not what was expected; keeps what was named."""
        if isinstance(expected, dict):
            return self._of_objects(expected, found, place)
        if isinstance(expected, list):
            return self._of_arrays(expected, found, place)
        if isinstance(expected, str):
            return self._of_texts(expected, found, place)
        is_same = type(expected) is type(found) and expected == found
        return [] if is_same else [f"{place}: {found!r} is not {expected!r}"]

    def _of_objects(self, expected: dict[str, Any], found: Any, place: str) -> list[str]:
        if not isinstance(found, dict):
            return [f"{place}: {found!r} is no object"]
        for key in expected:
            self._keep_key(key, expected, found)
        known = {self.filled(key): each for key, each in expected.items() if key != _OTHERS}
        optional = {key[:-1]: each for key, each in known.items() if key.endswith("?")}
        needed = {key: each for key, each in known.items() if not key.endswith("?")}
        wrong = [f"{place}.{key}: is missing" for key in needed.keys() - found.keys()]
        if _OTHERS not in expected:
            more = found.keys() - needed.keys() - optional.keys()
            wrong += [f"{place}.{key}: {found[key]!r} is not expected" for key in more]
        for key, each in (needed | optional).items():
            if key in found:
                wrong += self.differences(each, found[key], f"{place}.{key}")
        return wrong

    def _keep_key(self, key: str, expected: dict[str, Any], found: dict[str, Any]) -> None:
        """Take the names in a key that are met for the first time from the key nobody expects."""
        new = self._new(key)
        spare = [each for each in found if each not in expected and each not in self._texts()]
        if new and spare:
            self._keep(key, new, spare[0], "")

    def _new(self, text: str) -> list[str]:
        return [name for name in _NAME.findall(text) if name not in self._values]

    def _texts(self) -> set[str]:
        return {str(value) for value in self._values.values()}

    def _of_arrays(self, expected: list[Any], found: Any, place: str) -> list[str]:
        if not isinstance(found, list):
            return [f"{place}: {found!r} is no array"]
        items = [each for each in expected if each != _OTHERS]
        may_be_longer = len(items) < len(expected)
        if len(found) < len(items) or (len(found) > len(items) and not may_be_longer):
            return [f"{place}: {len(found)} items, not {len(items)}: {found!r}"]
        return [
            each
            for at, item in enumerate(items)
            for each in self.differences(item, found[at], f"{place}[{at}]")
        ]

    def _of_texts(self, expected: str, found: Any, place: str) -> list[str]:
        if expected in KINDS:
            return [] if KINDS[expected](found) else [f"{place}: {found!r} is no {expected}"]
        if new := self._new(expected):
            return self._keep(expected, new, found, place)
        wanted = self.filled(expected)
        is_same = wanted == found or (_NAME.fullmatch(expected) and wanted == str(found))
        return [] if is_same else [f"{place}: {found!r} is not {wanted!r}"]

    def _keep(self, expected: str, new: list[str], found: Any, place: str) -> list[str]:
        """Take the values of names that are met for the first time."""
        parts = _NAME.split(expected)
        pattern = "".join(
            (f"(?P<{part}>.+)" if part in new else re.escape(str(self._values[part])))
            if at % 2
            else re.escape(part)
            for at, part in enumerate(parts)
        )
        match = re.fullmatch(pattern, str(found))
        if match is None or isinstance(found, dict | list):
            return [f"{place}: {found!r} is not like {expected!r}"]
        self._values |= match.groupdict()
        return []

    def of_body(self, expected: str, found: bytes) -> list[str]:
        """Where a body is not what was expected: JSON by its values, other text as it is."""
        if expected == "<parquet>":
            is_one = found[:4] == b"PAR1" == found[-4:]
            return [] if is_one else [f"no Parquet file: {found[:80]!r}"]
        try:
            pattern = json.loads(expected)
        except ValueError:
            text = found.decode()
            wanted = self.filled(expected)
            return [] if text.strip() == wanted.strip() else [f"{text!r} is not {wanted!r}"]
        try:
            return self.differences(pattern, json.loads(found))
        except ValueError:
            return [f"no JSON: {found[:200]!r}"]
