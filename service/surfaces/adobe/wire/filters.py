"""Filters and orders of Catalog's listings as Adobe writes them: section 2.2 of the contract sheet.

``name=a,b`` admits either, ``name=!a,b`` neither; ``property`` takes conditions with operators.
Names that are none of a listing's own are refused: to ignore a filter would be to answer
another question than the one that was asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import AliasChoices, ConfigDict, Field

from catalog.errors import InvalidField
from catalog.filters import SORTABLE, Condition, Fields, Operator, Sort, Wanted, condition
from service.surfaces.adobe.wire import Wire

#: A property, an operator and a value. Two signs are tried before the one they begin with.
_CONDITION: Final = re.compile(
    r"(?P<missing>!)?(?P<name>[\w.@:/$-]+?)(?:(?P<sign>==|!=|<=|>=|<|>|~)(?P<value>.*))?", re.DOTALL
)
_OPERATORS: Final = {
    "==": Operator.IS_ANY_OF,
    "!=": Operator.IS_NONE_OF,
    "<": Operator.IS_LESS,
    "<=": Operator.IS_AT_MOST,
    ">": Operator.IS_MORE,
    ">=": Operator.IS_AT_LEAST,
    "~": Operator.MATCHES,
}
_FITTING: Final = {
    Operator.IS_ANY_OF: Operator.FITS_ANY_OF,
    Operator.IS_NONE_OF: Operator.FITS_NONE_OF,
}

#: The last millisecond of the year 9999: later instants have no date.
LAST_MILLISECOND: Final = 253_402_300_799_999
Instant = Annotated[int, Field(ge=0, le=LAST_MILLISECOND)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What a listing's fields and their values are called outside."""

    #: What is listed, for refusals.
    noun: str
    fields: Fields
    #: The service's own name of a field by each of its names outside.
    names: Mapping[str, str]
    #: For names whose values are words outside, the service's own words by each of those.
    words: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    #: Fields in whose values ``*`` stands for anything.
    patterns: frozenset[str] = frozenset()

    def field(self, name: str, called: str) -> str:
        """The service's own name of a field; refuses one it does not know."""
        if name not in self.names:
            known = ", ".join(sorted(self.names))
            raise InvalidField(
                called, f"{self.noun} cannot be filtered or sorted by {name!r}; by: {known}"
            )
        return self.names[name]

    def condition(
        self, name: str, operator: Operator, values: Sequence[str], called: str
    ) -> Condition:
        own = self.field(name, called)
        if operator in _FITTING and name in self.words:
            values = self._translated(name, values, called)
        if own in self.patterns:
            operator = _FITTING.get(operator, operator)
        return condition(self.fields, own, operator, values, called=called)

    def _translated(self, name: str, values: Sequence[str], called: str) -> list[str]:
        words = self.words[name]
        for value in values:
            if value.lower() not in words:
                raise InvalidField(called, f"{value!r} is none of {', '.join(sorted(words))}")
        return sorted(word for value in values for word in words[value.lower()])


class Selection(Wire):
    """The query of a call for one object."""

    properties: str | None = None

    def of(self, shown: dict[str, Any]) -> dict[str, Any]:
        """Of an answer, what was asked for; nothing if it has none of that."""
        names = self.names()
        return shown if names is None else {name: shown[name] for name in names if name in shown}

    def names(self) -> list[str] | None:
        """The properties asked for, or None: all of them."""
        if self.properties is None:
            return None
        return [name.strip() for name in self.properties.split(",")]


class Page(Selection):
    """The query of a list call: each name that is not of paging is a filter."""

    model_config = ConfigDict(extra="allow")

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    start: Annotated[
        int, Field(ge=0, le=2**31, validation_alias=AliasChoices("start", "offset"))
    ] = 0
    order_by: str | None = Field(None, validation_alias=AliasChoices("orderBy", "sort"))

    def wanted(
        self, vocabulary: Vocabulary, properties: Sequence[str], *, otherwise: Sort
    ) -> Wanted:
        """What is asked for; ``properties`` are the values of ``property``, each a condition.

        Refuses with InvalidField, naming the parameter.
        """
        unknown = sorted((self.model_extra or {}).keys() - {"property"})
        if unknown:
            vocabulary.field(unknown[0], unknown[0])
        conditions = [
            each
            for name, info in type(self).model_fields.items()
            if name not in Page.model_fields
            if (value := getattr(self, name)) is not None
            for each in self._simple(vocabulary, str(info.alias), value)
        ]
        conditions += [_asked(vocabulary, each) for each in properties]
        order = self._order(vocabulary)
        return Wanted(conditions=tuple(conditions), order=order or (otherwise,))

    def _simple(self, vocabulary: Vocabulary, name: str, value: object) -> Sequence[Condition]:
        """The conditions one parameter stands for: several for tags, one for all others."""
        text = str(value)
        if name == "tags":
            return [_tag(vocabulary, each) for each in text.split(",") if each.strip()]
        for end, operator in (("After", Operator.IS_MORE), ("Before", Operator.IS_LESS)):
            if name.endswith(end):
                return [vocabulary.condition(name, operator, [text], name)]
        operator = Operator.IS_NONE_OF if text.startswith("!") else Operator.IS_ANY_OF
        values = [each.strip() for each in text.removeprefix("!").split(",")]
        return [vocabulary.condition(name, operator, values, name)]

    def _order(self, vocabulary: Vocabulary) -> tuple[Sort, ...]:
        order = []
        for term in (self.order_by or "").split(","):
            if not term.strip(" "):
                continue
            direction, _, name = term.strip(" ").rpartition(":")
            if direction not in {"", "asc", "desc"}:
                raise InvalidField("orderBy", f"{direction!r} is neither asc nor desc")
            own = vocabulary.field(name, "orderBy")
            if vocabulary.fields[own] not in SORTABLE:
                raise InvalidField("orderBy", f"{vocabulary.noun} have no order by {name}")
            order.append(Sort(field=own, is_descending=direction == "desc"))
        return tuple(order)


def _asked(vocabulary: Vocabulary, text: str) -> Condition:
    """One condition of ``property``."""
    found = _CONDITION.fullmatch(text.strip())
    if found is None or (found["missing"] and found["sign"]):
        raise InvalidField(
            "property",
            f"{text!r} must be NAME, !NAME or NAME, one of {' '.join(_OPERATORS)}, and a value",
        )
    if found["missing"]:
        return vocabulary.condition(found["name"], Operator.IS_MISSING, (), "property")
    if not found["sign"]:
        return vocabulary.condition(found["name"], Operator.EXISTS, (), "property")
    operator = _OPERATORS[found["sign"]]
    return vocabulary.condition(found["name"], operator, [found["value"]], "property")


def _tag(vocabulary: Vocabulary, text: str) -> Condition:
    name, separator, pattern = text.strip().partition(":")
    if not separator or not name or not pattern:
        raise InvalidField("tags", f"{text!r} must be a name, a colon and a value or *")
    return condition(
        vocabulary.fields, "tags", Operator.HAS_TAG, [name, pattern.strip()], called="tags"
    )
