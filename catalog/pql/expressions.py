"""Whether a regular expression is one of RE2, as far as its text tells.

RE2 itself is at hand only where rules are evaluated, and definitions are refused long before. What
passes here and fails there is what grows too large.
"""

from __future__ import annotations

import re

#: Escapes that stand for themselves or for a class, by their letter.
_LETTERS = frozenset("AabBCdDfnrsStvwWz")
_NUMBERED = re.compile(r"x([0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,6}\})|0[0-7]{0,2}")
_PROPERTY = re.compile(r"[pP](\{\^?\w+\}|[A-Z])")
_GROUP = re.compile(r"\?(P?<[A-Za-z_]\w*>|[imsU]*(-[imsU]+)?[:)])")
_REPEAT = re.compile(r"\{(\d+)(,(\d*))?\}")
_NAMED_CLASS = re.compile(r"\[:\^?(\w+):\]")
_CLASSES = frozenset(
    [
        *("alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower"),
        *("print", "punct", "space", "upper", "word", "xdigit"),
    ]
)
_MOST_REPEATS = 1000


class Unfit(Exception):
    """What is wrong with an expression."""


def groups_of(expression: str) -> int:
    """How many groups an expression has. Raises Unfit when it is none of RE2."""
    return _Scan(expression).run()


class _Scan:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._groups = 0
        #: For each open group, what the repeats within it come to at most.
        self._open: list[int] = []
        #: What may be repeated stands right before, and how often it already is.
        self._repeats: int | None = None
        self._largest = 1

    def run(self) -> int:
        while self._at < len(self._text):
            self._step()
        if self._open:
            raise Unfit("a ( has no )")
        return self._groups

    def _step(self) -> None:
        char = self._text[self._at]
        if char == "\\":
            self._escape()
            self._repeats = 1
        elif char == "[":
            self._class()
        elif char == "(":
            self._begin()
        elif char == ")":
            self._end()
        elif char in "*+?" or (char == "{" and _REPEAT.match(self._text, self._at)):
            self._repeat(char)
        else:
            self._at += 1
            self._repeats = None if char == "|" else 1

    def _escape(self) -> None:
        at = self._at + 1
        if at == len(self._text):
            raise Unfit("it ends in a \\")
        letter = self._text[at]
        if letter == "Q":
            end = self._text.find("\\E", at)
            self._at = len(self._text) if end < 0 else end + 2
            return
        found = _NUMBERED.match(self._text, at) or _PROPERTY.match(self._text, at)
        if found:
            self._at = found.end()
        elif letter in _LETTERS or not (letter.isalnum() and letter.isascii()):
            self._at = at + 1
        elif letter.isdigit():
            raise Unfit(f"it refers back to a group by \\{letter}, which RE2 does not do")
        else:
            raise Unfit(f"RE2 knows no \\{letter}")

    def _class(self) -> None:
        self._at += 1
        if self._text.startswith("^", self._at):
            self._at += 1
        first = self._at
        while self._at == first or not self._text.startswith("]", self._at):
            start = self._member()
            is_range = self._text.startswith("-", self._at)
            if is_range and not self._text.startswith("-]", self._at):
                self._at += 1
                end = self._member()
                if start and end and start > end:
                    raise Unfit(f"[{start}-{end}] runs backwards")
        self._at += 1
        self._repeats = 1

    def _member(self) -> str | None:
        """One character of a class, which it gives, or a class of its own."""
        if self._at >= len(self._text):
            raise Unfit("a [ has no ]")
        named = _NAMED_CLASS.match(self._text, self._at)
        if named:
            if named[1] not in _CLASSES:
                raise Unfit(f"there is no class {named[0]}")
            self._at = named.end()
            return None
        if self._text[self._at] == "\\":
            self._escape()
            return None
        self._at += 1
        return self._text[self._at - 1]

    def _begin(self) -> None:
        at = self._at + 1
        if not self._text.startswith("?", at):
            self._groups += 1
            self._at = at
        else:
            found = _GROUP.match(self._text, at)
            if not found:
                raise Unfit(f"RE2 knows no ({self._text[at : at + 3]}: it does not look around")
            self._at = found.end()
            if found[0].endswith(")"):
                self._repeats = None
                return
            self._groups += found[0].endswith(">")
        self._open.append(self._largest)
        self._largest = 1
        self._repeats = None

    def _end(self) -> None:
        if not self._open:
            raise Unfit("a ) has no (")
        self._at += 1
        self._repeats = self._largest
        self._largest = max(self._open.pop(), self._largest)

    def _repeat(self, char: str) -> None:
        if self._repeats is None:
            raise Unfit(f"nothing stands before {char} to be repeated")
        if self._repeats == 0:
            raise Unfit(f"{self._text[: self._at + 1]} repeats what is repeated already")
        if char == "{":
            self._count()
        else:
            self._at += 1
        if self._text.startswith("?", self._at):
            self._at += 1
        self._repeats = 0

    def _count(self) -> None:
        found = _REPEAT.match(self._text, self._at)
        assert found
        fewest, most = int(found[1]), int(found[3] or found[1])
        assert self._repeats is not None
        total = max(most, 1) * self._repeats
        if most < fewest or total > _MOST_REPEATS:
            raise Unfit(f"{found[0]} is no count, or makes more than {_MOST_REPEATS} repeats")
        self._largest = max(self._largest, total)
        self._at = found.end()
