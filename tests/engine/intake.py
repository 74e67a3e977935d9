"""Promotes uploads written in a test: the way into the engine without a service around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.batches import FileFormat
from catalog.schemas import Field, Kind
from catalog.store_files import StoreFileKind
from service.engine.orders import Identity, Promoted, PromotionOrder, Reading, UploadedFile
from service.engine.promotion import promote
from service.engine.store_files import StoreFile
from service.storage.files import Files

SECRET = b"a secret of exactly 32 bytes ..."

TEXT, NUMBER, WHOLE, LONG, FLAG, DAY, TIME = (
    Kind.STRING,
    Kind.DOUBLE,
    Kind.INTEGER,
    Kind.LONG,
    Kind.BOOLEAN,
    Kind.DATE,
    Kind.TIMESTAMP,
)


def an_object(name: str, *fields: Field, required: bool = False) -> Field:
    return Field(name, Kind.OBJECT, required, fields)


def a_list(name: str, element: Field) -> Field:
    return Field(name, Kind.ARRAY, element=element)


def a_map(name: str, element: Kind) -> Field:
    return Field(name, Kind.MAP, element=Field("", element))


def identity(path: str, namespace: str, *, primary: bool = False) -> Identity:
    return Identity(path=tuple(path.split(".")), namespace=namespace, is_primary=primary)


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


class Intake:
    """A folder of uploads and of what became of them."""

    def __init__(self, root: Path) -> None:
        self.files = Files(root)
        self._numbers = count(1)
        self.reports: list[Any] = []

    def promote(
        self,
        uploads: bytes | Mapping[str, bytes],
        *fields: Field,
        format: str = "json",
        reading: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Promoted:
        """Promote some files, in a fresh folder, as records without a profile unless told."""
        number = next(self._numbers)
        if isinstance(uploads, bytes):
            uploads = {"upload": uploads}
        sent = []
        for path, content in uploads.items():
            key = f"uploads/{number}/{path.encode().hex()}"
            with self.files.create(key) as file:
                file.write(content)
            sent.append(UploadedFile(path=path, key=key, size_bytes=len(content)))
        defaults: dict[str, Any] = {
            "folder": f"promoted/{number}",
            "uploads": tuple(sent),
            "reading": Reading(format=FileFormat(format), **(reading or {})),
            "is_event": False,
            "fields": tuple(field.to_json() for field in fields),
            "identities": (),
            "unlinked_namespaces": (),
            "for_profile": False,
            "is_upsert": False,
            "secret": SECRET,
        }
        order = PromotionOrder(**{**defaults, **changes})
        return promote(order, self.files, self.reports.append)

    def table(self, promoted: Promoted) -> pa.Table:
        """The rows of the data set, all files together."""
        tables = [pq.read_table(self.files.open(file.key)) for file in promoted.dataset_files]
        return pa.concat_tables(tables)

    def rows(self, promoted: Promoted) -> list[dict[str, Any]]:
        return without_nulls(self.table(promoted).to_pylist(maps_as_pydicts="strict"))

    def stored(self, promoted: Promoted, kind: StoreFileKind) -> list[dict[str, Any]]:
        (file,) = (file for file in promoted.store_files if file.kind is kind)
        store = StoreFile(self.files.open(file.key))
        return store.slice(0, 0, store.schema.names).to_pylist(maps_as_pydicts="strict")

    def accepted(self, uploads: bytes | Mapping[str, bytes], *fields: Field, **changes: Any) -> Any:
        """The data set's rows, nulls left out; no row may have been refused."""
        promoted = self.promote(uploads, *fields, **changes)
        assert promoted.errors == ()
        return self.rows(promoted)

    def refusal(self, uploads: bytes | Mapping[str, bytes], *fields: Field, **changes: Any) -> Any:
        """Row, code and message of the only row that was refused."""
        promoted = self.promote(uploads, *fields, **changes)
        assert (promoted.dataset_files, promoted.store_files) == ((), ())
        (error,) = promoted.errors
        return error.row, error.code, error.message


def without_nulls(value: Any) -> Any:
    """Leave out what is null, at every depth."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
