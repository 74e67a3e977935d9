"""Orders to read uploads: into the profile store, or only their first rows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from catalog.batches import FileFormat
from service.engine.orders.messages import Document, NewFile, NewMetaFile, NewStoreFile, Order


class UploadedFile(Order):
    """One uploaded file; ``path`` orders the files of a batch, by its UTF-8 bytes."""

    path: str
    key: str
    size_bytes: int


class Reading(Order):
    """How uploads are parsed."""

    format: FileFormat
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None


class IdentityRules(Order):
    """What identities of rows may be beyond what :mod:`~service.engine.row_identities` says."""

    #: Digits an ECID has; rows with another one stay out of the profile store. 0: any will do.
    ecid_digits: int = 0
    #: Identities one row may name; a row with more is refused. 0: any number.
    most_per_row: int = 0
    #: Codes by the numbers that name the same namespaces, as keys of identity maps.
    codes: dict[str, str] = Field(default_factory=dict)
    #: Namespaces other than these that all rows together may name. Null: any number.
    most_brought: int | None = None


class Limits(Order):
    """What a child that reads what strangers wrote may take; it is ended at a breach. 0: no end."""

    #: Of memory that is its own: pages of files that are mapped or cached do not count.
    memory_bytes: int = 0
    #: From the order until the last answer.
    seconds: float = 0
    #: Between two answers that report progress.
    still_seconds: float = 0


class Identity(Order):
    """A field that holds an identity: see :class:`catalog.schemas.IdentityDescriptor`."""

    path: tuple[str, ...]
    namespace: str
    is_primary: bool


class PromotionOrder(Order):
    """Turn the uploads of one batch into data set files and, if asked, store files."""

    kind: Literal["promotion"] = "promotion"
    #: Everything is written below this key prefix.
    folder: str
    uploads: tuple[UploadedFile, ...]
    reading: Reading
    #: Whether rows are events (time series) rather than records.
    is_event: bool
    #: The schema's fields, as :meth:`catalog.schemas.Field.to_json` documents.
    fields: tuple[Document, ...]
    identities: tuple[Identity, ...]
    #: Namespaces (lower-case codes) whose identities link nothing.
    unlinked_namespaces: tuple[str, ...]
    #: Make store files as well as data set files.
    for_profile: bool
    #: Make data set files at all. Not when the uploads are the data set's own files.
    for_dataset: bool = True
    is_upsert: bool
    #: The deployment's secret for identity keys (32 bytes).
    secret: bytes
    #: The share of rows, 0 to 100, that may be set aside without the batch failing.
    tolerated_percentage: float = 0
    #: Write the rows that are set aside to files, each with its reason.
    with_diagnostics: bool = False
    identity_rules: IdentityRules = IdentityRules()
    limits: Limits = Limits()
    threads: int = 2


class PeekOrder(Order):
    """Show the first rows of uploads as they were sent: no schema is asked."""

    kind: Literal["peek"] = "peek"
    uploads: tuple[UploadedFile, ...]
    reading: Reading
    #: The first row of CSV names the columns; else they have none but their numbers.
    has_header: bool = True
    row_count: int
    limits: Limits = Limits()
    threads: int = 1


class Peeked(Order):
    """The first rows of uploads, each with its values by the number of their column."""

    kind: Literal["peeked"] = "peeked"
    #: Paths of leaves with slashes between their parts, in order of first sight.
    columns: tuple[str, ...]
    #: Absent values are left out; long ones are cut.
    rows: tuple[dict[int, str], ...]


class RowError(Order):
    """One row that was refused or skipped."""

    path: str
    #: Counted from 1 in its file; 0 when the file as a whole cannot be read.
    row: int
    #: A code of the contract sheet, section 3.
    code: str
    message: str


class Reason(Order):
    """Why rows were refused, and how many."""

    code: str
    message: str
    row_count: int


class Promoted(Order):
    """What became of a batch. A batch that is refused has no files but those about it."""

    kind: Literal["promoted"] = "promoted"
    #: More rows were refused than may be set aside, or a file cannot be read to its end.
    is_refused: bool = False
    dataset_files: tuple[NewFile, ...] = ()
    store_files: tuple[NewStoreFile, ...] = ()
    #: Namespace codes that occur, as first spelled, in order of first sight.
    namespaces: tuple[str, ...] = ()
    input_row_count: int = 0
    output_row_count: int = 0
    failed_row_count: int = 0
    #: Rows in the data set that did not enter the profile store.
    skipped_row_count: int = 0
    #: The first hundred rows that were refused, and of those that were skipped.
    errors: tuple[RowError, ...] = ()
    skipped: tuple[RowError, ...] = ()
    #: In order of first sight, the first hundred.
    reasons: tuple[Reason, ...] = ()
    #: Rows that were refused with their reasons, as far as diagnostics were asked for.
    meta_files: tuple[NewMetaFile, ...] = ()
    #: Fields that occur and are not in the schema: the first hundred paths. They are left out.
    ignored_fields: tuple[str, ...] = ()
