"""What is wrong with a rule, and where: raised inside, told to callers as InvalidRule."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from catalog.errors import InvalidRule


class Problem(Exception):
    """Something in a rule that cannot be understood."""

    def __init__(self, message: str, at: int) -> None:
        """``at`` counts the characters before it."""
        super().__init__(message)
        self.message = message
        self.at = at

    def refusal(self, text: str | None) -> InvalidRule:
        """The same for who wrote the rule; without its text, without a place."""
        if text is None:
            return InvalidRule(self.message)
        before = text[: self.at]
        return InvalidRule(
            self.message,
            line=before.count("\n") + 1,
            column=self.at - (before.rfind("\n") + 1) + 1,
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """Words that name the likeliest of the known names, or none; they follow a message."""
    names = list(known)
    found = get_close_matches(name, names, n=1, cutoff=0.6)
    if not found:
        lowered = {each.lower(): each for each in names}
        found = [lowered[name.lower()]] if name.lower() in lowered else []
    return f": did you mean {found[0]}?" if found else ""
