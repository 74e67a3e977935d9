"""Of which kind expressions are, also where their value is null."""

from __future__ import annotations

from catalog.pql.nodes import (
    Aggregate,
    Arithmetic,
    Best,
    Call,
    Distance,
    Events,
    Filter,
    Function,
    GroupBy,
    If,
    Let,
    ListOf,
    Literal,
    Map,
    Member,
    Node,
    Operator,
    Quantity,
    Variable,
)
from catalog.schemas import Field, Kind

_TEXT, _UNKNOWN = Field("", Kind.STRING), Field("", Kind.LONG)
_IDENTITIES = Field("", Kind.ARRAY, element=Field("", Kind.OBJECT))
_MEMBERSHIPS = Field("", Kind.MAP, element=Field("", Kind.OBJECT))


def is_double(node: Node, kinds: dict[str, Field]) -> bool:  # noqa: C901, PLR0911 (a table)
    """Tell whether a number is a double, even where it is null."""
    match node:
        case Literal():
            return isinstance(node.value, float)
        case Arithmetic():
            either = is_double(node.left, kinds) or is_double(node.right, kinds)
            return node.operator is Operator.DIVIDE or either
        case If():
            return is_double(node.then, kinds) or is_double(node.otherwise, kinds)
        case Let():
            kind = Field("", Kind.DOUBLE if is_double(node.value, kinds) else Kind.LONG)
            return is_double(node.body, kinds | {node.variable: kind})
        case Aggregate():
            if node.quantity in (Quantity.COUNT, Quantity.AVERAGE):
                return node.quantity is Quantity.AVERAGE
            element = kind_of(node.binding.source, kinds).element
            return is_double(node.value, kinds | {node.binding.variable: element})
        case Distance():
            return True
        case Member() | Variable() | Call():
            return kind_of(node, kinds).kind is Kind.DOUBLE
        case _:
            return False


def kind_of(node: Node, kinds: dict[str, Field]) -> Field:  # noqa: C901, PLR0911 (a table)
    """Tell what an expression that is not calculated is; of lists and maps, with their elements."""
    match node:
        case Variable():
            return kinds[node.name]
        case Events():
            return kinds["$events"]
        case Member():
            of = kind_of(node.of, kinds)
            return next((each for each in of.fields if each.name == node.name), _UNKNOWN)
        case Filter() | Best():
            return kind_of(node.binding.source, kinds)
        case GroupBy():
            return Field("", Kind.ARRAY, element=kind_of(node.binding.source, kinds))
        case Map():
            element = kind_of(node.binding.source, kinds).element
            made = node.value
            inside = kinds | {node.binding.variable: element}
            if is_double(made, inside):
                return Field("", Kind.ARRAY, element=Field("", Kind.DOUBLE))
            return Field("", Kind.ARRAY, element=kind_of(made, inside))
        case ListOf():
            return Field("", Kind.ARRAY, element=_UNKNOWN)
        case Call():
            return _kind_of_call(node, kinds)
        case _:
            return _UNKNOWN


def _kind_of_call(node: Call, kinds: dict[str, Field]) -> Field:
    of = kind_of(node.operands[0], kinds)
    match node.function:
        case Function.DISTINCT | Function.INTERSECTION:
            return of
        case Function.HEAD:
            return of.element
        case Function.KEYS:
            return Field("", Kind.ARRAY, element=_TEXT)
        case Function.GET | Function.VALUES:
            known = {Kind.IDENTITY_MAP: _IDENTITIES, Kind.SEGMENT_MEMBERSHIP: _MEMBERSHIPS}
            item = known.get(of.kind) or of.element
            return item if node.function is Function.GET else Field("", Kind.ARRAY, element=item)
        case _:
            return _UNKNOWN
