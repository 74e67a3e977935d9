"""Merges profiles leaf by leaf: of each, the strongest row that has a value has the say."""

from __future__ import annotations

from catalog.schemas import Field
from service.engine.arrow_types import Column, arrow_type
from service.engine.columns import Stack, pick, validity
from service.engine.kernel import Contest


class Leaves:
    """Merges leaves, each among the rows of those files that have it."""

    def __init__(self, stack: Stack, contest: Contest) -> None:
        self._stack = stack
        self._contest = contest
        self._within: dict[tuple[int, ...], Contest] = {}

    def merged(self, path: str, field: Field) -> Column:
        """Give the winning value of each profile."""
        contest = self._among(self._stack.holders(path))
        words = self._stack.words(path)
        if words is not None:
            return words.at(contest.winners(words.is_valid))
        column = self._stack.column(path, arrow_type(field))
        return pick(column, contest.winners(validity(column)))

    def _among(self, holders: tuple[int, ...]) -> Contest:
        if holders not in self._within:
            moved = self._stack.rows_within(holders)
            self._within[holders] = self._contest if moved is None else self._contest.within(moved)
        return self._within[holders]
