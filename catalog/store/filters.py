"""Filters and orders of listings as SQL.

No word of a caller ever becomes SQL: a field chooses one of the expressions written in its
store's table of columns, an operator chooses one of the forms written here, and every value is
a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from catalog.errors import Invalid, InvalidField
from catalog.filters import ALLOWED, Condition, Fields, Kind, Operator, Sort, Value, Wanted
from catalog.store.database import Connection, Record
from catalog.store.queries import Query

#: A caller's pattern may take very long to be tried, and must not hold the database for it.
#: Ours: a thousand times what an honest one takes.
MOST_SECONDS: Final = 2

_PATTERNS = frozenset(
    {Operator.MATCHES, Operator.FITS_ANY_OF, Operator.FITS_NONE_OF, Operator.HAS_TAG}
)
_COMPARISONS: Final = {
    Operator.IS_LESS: "<",
    Operator.IS_AT_MOST: "<=",
    Operator.IS_MORE: ">",
    Operator.IS_AT_LEAST: ">=",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A field of a listing: an expression over the rows of its query, called ``found``."""

    sql: str
    kind: Kind
    #: What sorts the same and can be read from an index. Blank: the expression itself.
    sort: str = ""
    is_nullable: bool = False


Columns = Mapping[str, Column]


def milliseconds(name: str, *, is_nullable: bool = False) -> Column:
    """An instant, as callers see and compare it; sorted by all of it."""
    return Column(
        sql=f"floor(extract(epoch FROM found.{name}) * 1000)::bigint",
        kind=Kind.NUMBER,
        sort=f"found.{name}",
        is_nullable=is_nullable,
    )


def kinds(columns: Columns) -> Fields:
    return {name: column.kind for name, column in columns.items()}


async def page(
    db: Connection,
    query: Query,
    columns: Columns,
    wanted: Wanted,
    *,
    limit: int,
    skip: int,
    **values: Any,
) -> list[Record]:
    """Rows of a query that pass a filter, in its order and then by id.

    Refuses with InvalidField a regular expression PostgreSQL cannot read, and with Invalid a
    filter that takes longer than :data:`MOST_SECONDS`. The limit stays on the transaction.
    """
    text, arguments = compiled(query, columns, wanted, limit=limit, skip=skip, **values)
    if any(each.operator in _PATTERNS for each in wanted.conditions):
        await db.execute(f"SET LOCAL statement_timeout = '{MOST_SECONDS}s'")
    try:
        return await db.fetch(text, *arguments)
    except asyncpg.InvalidRegularExpressionError as error:
        raise InvalidField("property", str(error)) from error
    except asyncpg.QueryCanceledError as error:
        raise Invalid(
            f"the filter took longer than {MOST_SECONDS} seconds: make its pattern simpler"
        ) from error


def compiled(
    query: Query, columns: Columns, wanted: Wanted, *, limit: int, skip: int, **values: Any
) -> tuple[str, list[Any]]:
    """One statement around a query, with the values of its parameters in their order."""
    arguments = _Arguments(query.bound(values))
    where = " AND ".join(
        _condition(columns[each.field], each, arguments) for each in wanted.conditions
    )
    text = (
        f"SELECT * FROM ({query.text}) AS found WHERE {where or 'true'}"  # noqa: S608 -- see above
        f" ORDER BY {_order(columns, wanted.order)}"
        f" LIMIT {arguments.add(limit)}::bigint OFFSET {arguments.add(skip)}::bigint"
    )
    return text, arguments.values


class _Arguments:
    """The values of a statement's parameters, which are numbered as they come."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def add(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


def _condition(column: Column, asked: Condition, arguments: _Arguments) -> str:
    if asked.operator not in ALLOWED[column.kind]:
        raise ValueError(f"{asked.operator} cannot be asked of {column.kind}")
    values = list(asked.values)
    match asked.operator:
        case Operator.EXISTS | Operator.IS_MISSING:
            is_there = "NOT NULL" if asked.operator is Operator.EXISTS else "NULL"
            return f"({column.sql}) IS {is_there}"
        case Operator.MATCHES:
            return f"({column.sql})::text ~ {arguments.add(values[0])}::text"
        case Operator.HAS_TAG:
            return _has_tag(column.sql, str(values[0]), str(values[1]), arguments)
        case operator if operator in _COMPARISONS:
            return _comparison(column, _COMPARISONS[operator], values[0], arguments)
        case _:
            return _choice(column, asked.operator, values, arguments)


def _choice(column: Column, operator: Operator, values: list[Value], arguments: _Arguments) -> str:
    """Whether a field is one of several values, or fits one of several patterns; or none."""
    if operator in {Operator.FITS_ANY_OF, Operator.FITS_NONE_OF}:
        patterns = arguments.add([_pattern(str(value)) for value in values])
        is_any = f"({column.sql}) LIKE ANY ({patterns}::text[])"
    else:
        type = "bigint" if column.kind is Kind.NUMBER else "text"
        is_any = f"({column.sql}) = ANY ({arguments.add(values)}::{type}[])"
    is_wanted = operator in {Operator.FITS_ANY_OF, Operator.IS_ANY_OF}
    return is_any if is_wanted else f"({is_any}) IS NOT TRUE"


def _comparison(column: Column, sign: str, value: object, arguments: _Arguments) -> str:
    number = arguments.add(value)
    if column.kind is Kind.VERSION:
        return (
            f"string_to_array({column.sql}, '.')::integer[]"
            f" {sign} string_to_array({number}::text, '.')::integer[]"
        )
    type = "bigint" if column.kind is Kind.NUMBER else 'text COLLATE "C"'
    return f"({column.sql}) {sign} {number}::{type}"


def _has_tag(sql: str, name: str, pattern: str, arguments: _Arguments) -> str:
    tag = arguments.add(name)
    if pattern == "*":
        return f"jsonb_exists({sql}, {tag}::text)"
    return (
        f"EXISTS (SELECT FROM jsonb_array_elements_text({sql} -> {tag}::text) AS tag (value)"
        f" WHERE tag.value LIKE {arguments.add(_pattern(pattern))}::text)"
    )


def _order(columns: Columns, order: tuple[Sort, ...]) -> str:
    """The order of the fields; ids end it, so that pages neither overlap nor leave a gap."""
    terms = []
    for each in order:
        column = columns[each.field]
        direction = " DESC" if each.is_descending else ""
        last = " NULLS LAST" if column.is_nullable else ""
        by = column.sort or column.sql
        if column.kind is Kind.VERSION:
            by = f"string_to_array({by}, '.')::integer[]"
        terms.append(f"{by}{direction}{last}")
    is_descending = bool(order) and order[-1].is_descending
    return ", ".join([*terms, "found.id DESC" if is_descending else "found.id"])


def _pattern(text: str) -> str:
    """A text with ``*`` for anything, and ``**`` for a star, as LIKE wants it."""
    escaped = re.sub(r"[\\%_]", r"\\\g<0>", text)
    return re.sub(r"\*\*?", lambda star: "*" if star[0] == "**" else "%", escaped)
