"""What somebody's own files are about, guessed from their names and rows.

A guess is only ever told from what a person would look at too: a field called ``customer_id`` or
``email`` says whom a row is about, ``order_id`` does not, and rows with a ``timestamp`` are
events. Whoever knows better says so in an ``identities.json`` beside the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from catalog.errors import Invalid
from catalog.schemas import IDENTITY_MAP, Field, IdentityDescriptor, Kind, Path, leaves
from service.cli.sources import Source, find_files, identity, with_a_primary
from service.engine import peek
from service.engine.inference import infer

#: Read for what the reader knows better: ``{"crm.csv": {"identities": ["id=crmId:primary"]}}``.
TOLD_FILE = "identities.json"

#: Rows looked at to tell how often a field is filled.
_LOOKED_AT = 10_000
#: Of records: ids that repeat themselves more often are of something people have in common.
_LEAST_DISTINCT = 0.5

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_EMAIL = frozenset({"email", "mail", "emails"})
_ID = frozenset({"id", "uuid", "guid", "key", "number", "no", "nr"})
#: Words for an id of something that is no person.
_THING = re.compile(
    "order|purchase|product|item|sku|article|transaction|payment|invoice|receipt|session|visit|"
    "event|page|view|message|store|shop|branch|campaign|category|coupon|basket|cart|segment|"
    "tenant|organi[sz]ation|org|company|parent|batch|file|row|line|phone|address|mobile|house|street|"
    "postal|zip|country|version|request|tax"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A data set to be, with the fields of its rows."""

    source: Source
    fields: tuple[Field, ...]
    #: Whether the reader said it in so many words.
    was_told: bool

    def in_words(self) -> str:
        kind = "events" if self.source.is_event else "records"
        named = [
            f"{'.'.join(each.path)} is {each.namespace}{' (primary)' if each.is_primary else ''}"
            for each in self.source.identities
        ]
        if any(field.name == IDENTITY_MAP.name for field in self.fields):
            named.append("rows carry an identityMap")
        said = "told" if self.was_told else "guessed"
        return f"{self.source.name}: {kind}; {', '.join(named)} ({said})"


class _Told(BaseModel):
    """What the reader says of one file or folder."""

    model_config = ConfigDict(extra="forbid")

    identities: list[str] = []
    event: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """All that a folder holds."""

    found: tuple[Guess, ...]
    #: What is no data set of people, each with the reason.
    left_out: tuple[str, ...]


def guess_sources(folder: FilePath) -> Guesses:
    """Take every file and folder of a folder for a data set, in the order of their names.

    What holds no rows, or rows of which nothing says whom they are about, is left out; a folder
    of nothing else is refused.
    """
    told = _told(folder / TOLD_FILE)
    entries = sorted(
        each
        for each in folder.iterdir()
        if each.name != TOLD_FILE and not each.name.startswith((".", "_"))
    )
    if unknown := sorted(told.keys() - {each.name for each in entries}):
        raise Invalid(f"{TOLD_FILE} speaks of {unknown[0]}, which is not beside it")
    if not entries:
        raise Invalid(f"{folder} is empty: put a file or a folder for each data set into it")
    found, left_out = [], []
    for entry in entries:
        try:
            found.append(_guess(entry, told.get(entry.name)))
        except Invalid as problem:
            if entry.name in told:
                raise
            left_out.append(str(problem))
    if not found:
        reasons = "".join(f"\n  {reason}" for reason in left_out)
        raise Invalid(f"{folder} holds no file of rows about people:{reasons}")
    return Guesses(found=tuple(found), left_out=tuple(left_out))


def _guess(entry: FilePath, told: _Told | None) -> Guess:
    files = find_files(entry)
    inferred = infer(files.paths, files.format)
    is_event = told.event if told and told.event is not None else _are_events(inferred.fields)
    source = Source(name=entry.stem, files=files, is_event=is_event, identities=())
    if told and told.identities:
        identities = with_a_primary(tuple(identity(each) for each in told.identities))
    elif any(field.name == IDENTITY_MAP.name for field in inferred.fields):
        identities = ()
    else:
        identities = _identities(entry, source, inferred.fields)
    paths = frozenset(each.path for each in identities)
    return Guess(
        source=replace(source, identities=identities),
        fields=tuple(_as_text(field, (field.name,), paths) for field in inferred.fields),
        was_told=bool(told),
    )


def _are_events(fields: tuple[Field, ...]) -> bool:
    return any(field.name == "timestamp" and field.kind is Kind.TIMESTAMP for field in fields)


def _identities(
    entry: FilePath, source: Source, fields: tuple[Field, ...]
) -> tuple[IdentityDescriptor, ...]:
    """The fields that name people, the fullest and most telling one first and primary."""
    candidates = dict(_candidates(fields, source.name))
    rows = list(islice(source.files.rows(), _LOOKED_AT))
    ranked = []
    for order, path in enumerate(candidates):
        values = [value for row in rows if (value := _at(row, path)) is not None]
        distinct = len(set(map(str, values))) / len(values) if values else 0
        if values and (source.is_event or distinct >= _LEAST_DISTINCT):
            ranked.append((-len(values), 0 if source.is_event else -distinct, order, path))
    found = [path for *_, path in sorted(ranked)]
    if not found:
        example = {entry.name: {"identities": ["FIELD=NAMESPACE:primary"]}}
        raise Invalid(
            f"nothing in {entry.name} says whom its rows are about: write it into {TOLD_FILE} "
            f"beside it, as {json.dumps(example)}"
        )
    return with_a_primary(
        tuple(
            IdentityDescriptor(path=path, namespace=candidates[path], is_primary=False)
            for path in found
        )
    )


def _candidates(fields: tuple[Field, ...], name: str) -> Iterator[tuple[Path, str]]:
    for path, leaf in leaves(fields):
        if leaf.kind in {Kind.STRING, Kind.LONG, Kind.INTEGER} and (
            namespace := namespace_of(path, name)
        ):
            yield path, namespace


def namespace_of(path: Path, dataset: str) -> str | None:
    """The kind of id a field of that name holds, if it is one of people.

    A bare ``id`` is one of what the data set is called after: ``id`` of ``customers`` is a
    ``customerId``, as is the ``customer_id`` of its neighbour.
    """
    words = [word.lower() for part in path for word in _WORD.findall(part)]
    own = [word.lower() for word in _WORD.findall(path[-1])]
    if own and _EMAIL & set(words) and own[-1] in _EMAIL | {"address", "id", "value"}:
        return "Email"
    if own == ["ecid"]:
        return "ECID"
    if own == ["id"]:
        *first, last = _WORD.findall(path[-2] if len(path) > 1 else dataset) or [""]
        own = [*(word.lower() for word in first), _singular(last.lower()), "id"]
    is_id = len(own) > 1 and own[-1] in _ID
    if not is_id or any(map(_is_thing, own)):
        return None
    first_word, *others = filter(None, own)
    return "".join([first_word, *(word.capitalize() for word in others)])


def _is_thing(word: str) -> bool:
    return _THING.fullmatch(_singular(word)) is not None


def _singular(word: str) -> str:
    return word if word.endswith("ss") else word.removesuffix("s")


def _as_text(field: Field, path: Path, texts: frozenset[Path]) -> Field:
    """The field with the identities in it as text."""
    if path in texts:
        return replace(field, kind=Kind.STRING)
    return replace(
        field, fields=tuple(_as_text(inner, (*path, inner.name), texts) for inner in field.fields)
    )


def _at(row: peek.Row, path: Path) -> Any:
    value: Any = row
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _told(path: FilePath) -> Mapping[str, _Told]:
    try:
        return TypeAdapter(dict[str, _Told]).validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValidationError as problem:
        (first, *_) = problem.errors(include_url=False)
        where = ".".join(str(step) for step in first["loc"])
        raise Invalid(f"{TOLD_FILE}: {where or 'the file'}: {first['msg']}") from None
