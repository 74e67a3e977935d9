"""Listings of the Schema Registry as Adobe writes them: section 7 of the contract sheet.

What is listed is few, and known only as it is shown: filters and orders are asked of that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from catalog.errors import InvalidField

Shown = dict[str, Any]

#: What listings hold of a resource for callers who ask for ids.
_SUMMARY: Final = ("title", "$id", "meta:altId", "version")
_CONDITION: Final = re.compile(
    r"(?P<missing>!)?(?P<key>[^=!<>~]+)(?:(?P<sign>==|!=|<=|>=|<|>|~)(?P<value>.*))?"
)
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": lambda ours, theirs: bool(ours < theirs),
    "<=": lambda ours, theirs: bool(ours <= theirs),
    ">": lambda ours, theirs: bool(ours > theirs),
    ">=": lambda ours, theirs: bool(ours >= theirs),
}
#: What can be sorted by besides the instants of registration and of the last change.
_TEXTS: Final = ("title", "$id", "meta:altId", "version", "@id", "@type", "xdm:sourceSchema")
_INSTANTS: Final = {"created": "repo:createdDate", "updated": "repo:lastModifiedDate"}


class Page(BaseModel):
    """The query of a list call. Its order is that of registration unless it says another."""

    model_config = ConfigDict(extra="ignore")

    #: Null: all there are.
    limit: Annotated[int | None, Field(ge=1, le=1000)] = None
    start: Annotated[int, Field(ge=0, le=2**31)] = 0
    orderby: str | None = Field(None, validation_alias=AliasChoices("orderby", "orderBy"))

    def listing(self, found: Iterable[Shown], properties: Sequence[str], accept: str) -> Shown:
        """One page of what meets every condition; a summary of each for callers who ask for ids.

        A condition is a value of ``property``; several may stand in one, with commas between.
        """
        conditions = [_condition(each) for one in properties for each in one.split(",") if each]
        kept = [each for each in found if all(condition(each) for condition in conditions)]
        terms = [term for each in (self.orderby or "").split(",") if (term := each.strip(" "))]
        for term in reversed(terms):
            key = term.lstrip("+-")
            if key not in {*_TEXTS, *_INSTANTS}:
                known = ", ".join((*_INSTANTS, *_TEXTS))
                raise InvalidField("orderby", f"{key!r} is none of {known}")
            kept.sort(key=partial(_rank, key=key), reverse=term.startswith("-"))
        end = len(kept) if self.limit is None else self.start + self.limit
        results = kept[self.start : end]
        following = str(end) if end < len(kept) else None
        if "-id+json" in accept:
            results = [{key: each[key] for key in _SUMMARY if key in each} for each in results]
        return {
            "results": results,
            "_page": {
                "orderby": self.orderby or "created",
                "next": following,
                "count": len(results),
            },
            "_links": {"next": following and {"href": f"?start={following}&limit={self.limit}"}},
        }


class _Condition:
    """One ``property`` filter, asked of what is shown."""

    def __init__(self, key: str, holds: Callable[[Any], bool]) -> None:
        self._key = key
        self._holds = holds

    def __call__(self, shown: Shown) -> bool:
        return self._holds(shown.get(self._key))


def _condition(text: str) -> _Condition:
    match = _CONDITION.fullmatch(text.strip())
    if match is None or (match["missing"] and match["sign"]):
        raise InvalidField(
            "property", f"{text!r} must be KEY, !KEY, or KEY, a sign (== != < <= > >=) and a value"
        )
    key, sign, value = match["key"].strip(), match["sign"], match["value"]
    if sign == "~":
        raise InvalidField("property", f"{text!r}: regular expressions are not taken here")
    if sign is None:
        is_missing = bool(match["missing"])
        return _Condition(key, lambda found: (found is None) is is_missing)
    if sign in {"==", "!="}:
        return _Condition(key, lambda found: (value in _texts(found)) is (sign == "=="))
    compare = _COMPARISONS[sign]
    return _Condition(
        key, lambda found: any(compare(_ordered(each), _ordered(value)) for each in _texts(found))
    )


def _texts(found: Any) -> list[str]:
    """What a key holds, as texts: the elements of a list, or the one value."""
    if found is None:
        return []
    values = found if isinstance(found, list) else [found]
    return [str(each).lower() if isinstance(each, bool) else str(each) for each in values]


def _ordered(text: str) -> tuple[list[int], str]:
    """A text as it is compared: versions number by number, anything else as text."""
    if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,18})*", text):
        return [int(number) for number in text.split(".")], ""
    return [], text


def _rank(shown: Shown, *, key: str) -> tuple[int, str]:
    """Where something stands in an order."""
    if key in _TEXTS:
        return 0, str(shown.get(key, ""))
    registered = shown.get("meta:registryMetadata", {})
    return int(registered.get(_INSTANTS[key], shown.get("created", 0))), ""
