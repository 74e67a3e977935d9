"""What an exported row looks like: which fields are asked for, and how leaves become rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa

from catalog.schemas import IDENTITY_MAP, Field, Kind, Path, leaves
from service.engine.arrow_types import Column, arrow_schema, arrow_type, has_column
from service.engine.columns import nested, structs
from service.engine.maps import IDENTITIES
from service.engine.orders import ExportOrder
from service.engine.orders.tables import Source, Table

EVENTS_COLUMN = "timeSeriesEvents"
EVENT_ID = Field("_id", Kind.STRING)
EVENT_TIME = Field("timestamp", Kind.TIMESTAMP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The columns of an export, in order: fields, derived identities, events."""

    fields: tuple[Field, ...]
    #: What is asked of the derived list ``identities``; null when it is not asked for.
    identities: Field | None
    #: Below one event; null when the export has no events.
    event_fields: tuple[Field, ...] | None
    #: Whether a table has identities in columns of their own.
    has_identity_columns: bool = False

    @classmethod
    def of(cls, order: ExportOrder) -> Projection:
        """Read the projection of an order. Its paths were checked against the union before."""
        if not order.has_rows:
            return cls(fields=(), identities=None, event_fields=None)
        union = tuple(_field(document) for document in order.profile_fields)
        if order.table is not None:
            return _of_table(order.table, union)
        if all(field.kind is not Kind.IDENTITY_MAP for field in union):
            union = (*union, IDENTITY_MAP)
        own = {field.name for field in union}
        fields = selected(union, order.fields)
        derived = (
            () if IDENTITIES.name in own or not order.fields else _derived_identities(order.fields)
        )
        if not fields and not derived:
            fields = (IDENTITY_MAP,)  # a row without a column could not be counted
        return cls(
            fields=fields,
            identities=derived[0] if derived else None,
            event_fields=_event_fields(order),
        )

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of every part, whatever the store holds."""
        columns = [*arrow_schema(self.fields)]
        if self.identities is not None:
            columns.append(pa.field(self.identities.name, arrow_type(self.identities)))
        if self.event_fields is not None:
            event = pa.struct(list(arrow_schema(self.event_fields)))
            columns.append(pa.field(EVENTS_COLUMN, pa.list_(event)))
        return pa.schema(columns)

    def schema_with(self, words: Collection[str], event_words: Collection[str]) -> pa.Schema:
        """Give the same schema with dictionaries at some leaves of records and of events."""
        columns = []
        for field in self.schema:
            if field.name == EVENTS_COLUMN and self.event_fields is not None:
                type = pa.list_(_with_dictionaries(field.type.value_type, "", event_words))
            else:
                type = _with_dictionaries(field.type, field.name, words)
            columns.append(field.with_type(type))
        return pa.schema(columns)

    @property
    def has_identities(self) -> bool:
        """Whether values of identities are wanted at all."""
        if self.has_identity_columns or self.identities is not None:
            return True
        return any(field.kind is Kind.IDENTITY_MAP for field in self.fields)

    def record_leaves(self) -> dict[str, Field]:
        """Give the leaves that record files may hold, by dotted path."""
        return {
            path: field for path, field in _leaves(self.fields).items() if path != IDENTITY_MAP.name
        }

    def event_leaves(self) -> dict[str, Field]:
        """Give the leaves below one event, by dotted path."""
        return _leaves(self.event_fields or ())

    def rows(self, columns: Mapping[str, Column], row_count: int) -> pa.Table:
        """Build rows from leaves by dotted path, and from the two lists by their names."""
        arrays = {field.name: nested(field, columns) for field in self.fields if has_column(field)}
        if self.identities is not None:
            arrays[self.identities.name] = columns[self.identities.name]
        if self.event_fields is not None:
            arrays[EVENTS_COLUMN] = columns[EVENTS_COLUMN]
        table = pa.table(arrays)
        assert table.num_rows == row_count
        return table

    def events(self, columns: Mapping[str, Column], offsets: Column) -> Column:
        """Build the list of each profile's events from the events' leaves by dotted path."""
        return pa.ListArray.from_arrays(offsets, structs(self.event_fields or (), columns, ""))


def selected(fields: Iterable[Field], paths: Iterable[Path]) -> tuple[Field, ...]:
    """Keep of a tree of fields what the paths name: a leaf, or all beneath an object.

    No paths keep everything. Objects of which nothing is kept are gone.
    """
    paths = tuple(paths)
    if not paths:
        return tuple(field for field in fields if has_column(field))
    kept = (
        _part_of(field, [path[1:] for path in paths if path[0] == field.name]) for field in fields
    )
    return tuple(field for field in kept if field is not None and has_column(field))


def _part_of(field: Field, paths: list[Path]) -> Field | None:
    if not paths:
        return None
    if field.kind is not Kind.OBJECT or () in paths:
        return field
    return replace(field, fields=selected(field.fields, paths))


def _of_table(table: Table, union: tuple[Field, ...]) -> Projection:
    """Give the leaves that the columns of a table are made of; without any, none."""
    paths = {column.path for column in table.columns if column.source is Source.LEAF}
    if table.having is not None:
        paths.add(table.having)
    identities = {Source.LAST_IDENTITY, Source.ALL_IDENTITIES}
    return Projection(
        fields=selected(union, sorted(paths)) if paths else (),
        identities=None,
        event_fields=None,
        has_identity_columns=any(column.source in identities for column in table.columns),
    )


def _with_dictionaries(type: pa.DataType, path: str, words: Collection[str]) -> pa.DataType:
    """Give the type with dictionaries for the texts whose dotted paths are named."""
    if pa.types.is_struct(type):
        above = f"{path}." if path else ""
        return pa.struct(
            [f.with_type(_with_dictionaries(f.type, above + f.name, words)) for f in type]
        )
    return pa.dictionary(pa.int32(), type) if path in words else type


def _derived_identities(paths: Iterable[Path]) -> tuple[Field, ...]:
    wanted = [path for path in paths if path[0] == IDENTITIES.name]
    if not wanted or IDENTITIES.element is None:
        return ()
    below = [path[1:] for path in wanted]
    element = _part_of(IDENTITIES.element, below)
    return (replace(IDENTITIES, element=element),)


def _event_fields(order: ExportOrder) -> tuple[Field, ...] | None:
    if order.events is None:
        return None
    union = tuple(_field(document) for document in order.event_fields)
    # Parquet has no struct without fields, so a union that knows no events still gets two.
    return selected(union, order.events.fields) or (EVENT_ID, EVENT_TIME)


def leaves_by_path(documents: Iterable[dict[str, object]]) -> dict[str, Field]:
    """Give the leaves of a union's fields by dotted path."""
    return _leaves(tuple(map(_field, documents)))


def _leaves(fields: tuple[Field, ...]) -> dict[str, Field]:
    return {".".join(path): field for path, field in leaves(fields) if has_column(field)}


def _field(document: dict[str, object]) -> Field:
    return Field.from_json(document)
