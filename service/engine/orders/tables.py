"""What the engine is told of flat rows: which columns they have, and how they are written."""

from __future__ import annotations

from enum import StrEnum

from catalog.user_lists import Charset, ListFormat
from service.engine.orders.messages import NewFile, Order


class Source(StrEnum):
    """What a column has in it."""

    GIO_ID = "gio_id"  # the profile's number
    LAST_IDENTITY = "last_identity"  # of a namespace, the one that was named last
    ALL_IDENTITIES = "all_identities"  # of a namespace, as a list in byte order
    LEAF = "leaf"  # a property or a tag: a leaf of the profile


class TableColumn(Order):
    #: What it is called in lines of JSON, and when something is wrong with it.
    key: str
    #: What it is headed by in CSV.
    header: str
    source: Source
    #: Of identities, in any case.
    namespace: str | None = None
    #: Of a leaf, outermost name first.
    path: tuple[str, ...] = ()


class Table(Order):
    """One row for each profile. The first part begins with the header, if there is one."""

    columns: tuple[TableColumn, ...]
    format: ListFormat = ListFormat.CSV
    charset: Charset = Charset.UTF_8
    is_guarded: bool = False
    #: Only profiles with a value at this leaf; null: whatever they have.
    having: tuple[str, ...] | None = None

    @property
    def has_numbers(self) -> bool:
        """Whether the numbers of profiles are asked for."""
        return any(column.source is Source.GIO_ID for column in self.columns)


class SavedNumbering(Order):
    """The newest numbering of a sandbox; see :mod:`service.engine.numbering`."""

    key: str
    #: The list of numbers that stand for no profile any more, but for another's.
    merged_key: str
    #: The first number that was never given.
    next_number: int
    #: Nothing joined or left the store between its snapshot and the order's: it says all there is
    #: to say.
    is_current: bool
    #: It is of a later snapshot than the order's.
    is_newer: bool = False


class NewNumbering(NewFile):
    """The numbering of the order's snapshot, for later orders to go on from."""

    merged_key: str
    #: Rows of that list.
    merged_count: int
    #: The first number that was never given.
    next_number: int
    #: The numbering that it went on from; null when it is the first.
    base_key: str | None
