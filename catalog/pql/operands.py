"""What the parser does below the operators: literals, names, paths and calls."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from lark import Token, Transformer, v_args

from catalog.pql import functions, making
from catalog.pql.nodes import PROFILE, Filter, ListOf, Literal, Node, Variable
from catalog.pql.parts import NAME, Part, joined, of_each, part, place
from catalog.pql.problems import Problem, nearest
from catalog.pql.scopes import Scope
from catalog.pql.spelling import well_formed

LARGEST = 2**63 - 1
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}


@v_args(inline=True)
class OperandBuilder(Transformer[Token, Part]):
    def name(self, word: Token) -> Token:
        """What a field is called, however it was quoted; where it stands."""
        if word.type == "NAME":
            return word
        text = unescaped(word) if word.type == "ESCAPED" else unquoted(word)
        text = well_formed(text, place(word))
        return Token("NAME", text, start_pos=word.start_pos)

    def arguments(self, *given: Part) -> tuple[Part, ...]:
        return given

    def of_element(self, opening: Token, body: Part) -> Part:
        return replace(body, parameters=tuple(NAME.findall(opening)))

    def method(self, subject: Part, name: Token, arguments: tuple[Part, ...]) -> Part:
        return _called(name, (subject, *arguments))

    def function(self, name: Token, arguments: tuple[Part, ...]) -> Part:
        return _called(name, arguments)

    def member(self, of: Part, name: Token) -> Part:
        return joined(place(name), lambda node: making.member(node, str(name), place(name)), of)

    def those(self, of: Part, condition: Part) -> Part:
        def build(scope: Scope) -> Node:
            binding, met = of_each(of.build(scope), condition, scope)
            return Filter(binding, making.condition(met), at=of.at)

        return part(of.at, build, of, condition)

    def above(self, carets: Token, name: Token) -> Part:
        at = place(carets)
        return part(
            at,
            lambda scope: making.member(scope.level(len(carets), at), str(name), place(name)),
        )

    def level(self, carets: Token) -> Part:
        at = place(carets)
        return part(at, lambda scope: replace(scope.level(len(carets), at), at=at))

    def parameter(self, word: Token) -> Part:
        at = place(word)
        if word == "$0":
            return part(at, lambda scope: replace(scope.level(0, at), at=at))
        if word != "$1":
            raise Problem(f"expected $1, the profile, or $0, the element, but found {word}", at)
        return part(at, lambda _: replace(PROFILE, at=at))

    def word(self, word: Token) -> Part:
        return part(place(word), lambda scope: scope.word(str(word), place(word)))

    def field(self, word: Token) -> Part:
        at = place(word)
        return part(at, lambda scope: making.member(scope.levels[-1], unescaped(word), at))

    def integer(self, word: Token) -> Part:
        value = int(word) if len(word) < 20 else LARGEST + 1  # noqa: PLR2004 (2**63 has 19 digits)
        if value > LARGEST:
            raise Problem(f"whole numbers go up to {LARGEST}", place(word))
        return part(place(word), lambda _: Literal(value, at=place(word)))

    def double(self, word: Token) -> Part:
        value = float(word)
        if not math.isfinite(value):
            raise Problem("no double is that large", place(word))
        return part(place(word), lambda _: Literal(value, at=place(word)))

    def string(self, word: Token) -> Part:
        value = well_formed(unquoted(word), place(word))
        return part(place(word), lambda _: Literal(value, at=place(word)))

    def list_of(self, elements: tuple[Part, ...]) -> Part:
        at = elements[0].at - 1 if elements else 0
        return joined(at, lambda *nodes: ListOf(nodes, at=at), *elements)

    def grouped(self, inside: Part) -> Part:
        """The same, a level deeper: brackets alone make no node."""
        return part(inside.at, inside.build, inside)


def unescaped(text: str) -> str:
    """The name between backticks; two of them are one."""
    return text[1:-1].replace("``", "`")


def unquoted(text: str) -> str:
    """What a quoted text says. Escapes that mean nothing stay, as expressions have many."""

    def plain(found: re.Match[str]) -> str:
        escape = found[1]
        if len(escape) > 1:
            return chr(int(escape[1:], 16))
        return _ESCAPED.get(escape, found[0])

    return _ESCAPE.sub(plain, text[1:-1])


def _called(word: Token, given: tuple[Part, ...]) -> Part:
    """A call of a function on its first argument."""
    name, at = str(word), place(word)
    if name in functions.OF_ELEMENTS:
        return _called_of_elements(name, at, given)
    if name not in functions.PLAIN:
        raise Problem(f"there is no function {name}{nearest(name, functions.KNOWN)}", at)
    return joined(at, lambda *nodes: functions.called(name, nodes, at), *given)


def _called_of_elements(name: str, at: int, given: tuple[Part, ...]) -> Part:
    expected = functions.arguments_of(name)
    if len(given) - 1 not in expected:
        counts = " or ".join(map(str, expected))
        raise Problem(f"{name} needs {counts} in ( ), but has {max(len(given) - 1, 0)}", at)

    def build(scope: Scope) -> Node:
        source = given[0].build(scope)
        if len(given) == 1:
            binding = making.over(making.ELEMENT, source)
            return functions.of_elements(name, binding, Variable(making.ELEMENT), 0, at)
        binding, value = of_each(source, given[1], scope)
        count = 0
        if len(given) > 2:  # noqa: PLR2004 (the list, the value, the count)
            count = functions.whole_of(given[2].build(scope), "how many")
        return functions.of_elements(name, binding, value, count, at)

    return part(at, build, *given)
