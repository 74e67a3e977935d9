"""Nodes into text: the one way in which the service itself writes a rule.

What is read again is equal to what was written. Sugar comes back where it says the same, so that
``occurs last week`` is written as that.
"""

from __future__ import annotations

from catalog.pql import phrases
from catalog.pql.making import ELEMENT
from catalog.pql.nodes import (
    Aggregate,
    And,
    Arithmetic,
    Best,
    Between,
    Binding,
    Call,
    Compare,
    Distance,
    Events,
    Exists,
    Filter,
    ForAll,
    Function,
    GroupBy,
    If,
    In,
    Let,
    ListOf,
    Literal,
    Map,
    Member,
    Node,
    Not,
    Now,
    Operator,
    Or,
    Shifted,
    StartOf,
    Variable,
)
from catalog.pql.places import Place
from catalog.pql.spelling import Tightness, quoted, spelt
from catalog.pql.walking import Visitor

_SUMS = frozenset({Operator.ADD, Operator.SUBTRACT})
_NEGATED = {
    Function.EQUALS: "notEqualTo",
    Function.STARTS_WITH: "doesNotStartWith",
    Function.ENDS_WITH: "doesNotEndWith",
    Function.CONTAINS: "doesNotContain",
    Function.IS_NULL: "isNotNull",
}
_CURRENT = {
    Function.YEAR_OF: "currentYear()",
    Function.MONTH_OF: "currentMonth()",
    Function.DAY_OF_MONTH_OF: "currentDayOfMonth()",
}

#: A text, and how tightly it holds together.
Text = tuple[str, Tightness]


def write(node: Node) -> str:
    """The rule as text, in one line."""
    return _Writer(Place()).held(node)


class _Writer(Visitor[Text]):
    def __init__(self, place: Place) -> None:
        self._place = place

    def held(self, node: Node, at_least: Tightness = Tightness.WHOLE) -> str:
        """A node as text, in brackets if it would fall apart where it stands."""
        text, tightness = self.visit(node)
        return text if tightness >= at_least else f"({text})"

    def chain(self, node: Node) -> str:
        return self.held(node, Tightness.CHAIN)

    def sum(self, node: Node) -> str:
        return self.held(node, Tightness.SUM)

    def knowing(self, *names: str) -> _Writer:
        return _Writer(self._place.knowing(*names))

    def literal(self, node: Literal) -> Text:
        text = spelt(node.value)
        return text, Tightness.SIGNED if text.startswith("-") else Tightness.CHAIN

    def now(self, _: Now) -> Text:
        return "now", Tightness.CHAIN

    def events(self, _: Events) -> Text:
        return "xEvent", Tightness.CHAIN

    def variable(self, node: Variable) -> Text:
        return self._place.spelling(node), Tightness.CHAIN

    def member(self, node: Member) -> Text:
        head = self._place.head(node)
        if head is not None:
            return head, Tightness.CHAIN
        return f"{self.chain(node.of)}.{quoted(node.name)}", Tightness.CHAIN

    def start_of(self, node: StartOf) -> Text:
        word = phrases.WORDS.get(node)
        return word or f"{self.chain(node.of)}.startOf({spelt(node.unit.value)})", Tightness.CHAIN

    def shifted(self, node: Shifted) -> Text:
        word = phrases.WORDS.get(node)
        amount = f"{self.held(node.amount)}, {spelt(node.unit.value)}"
        return word or f"{self.chain(node.of)}.shiftedBy({amount})", Tightness.CHAIN

    def distance(self, node: Distance) -> Text:
        end = f"{self.held(node.end)}, {spelt(node.unit.value)}"
        return f"{self.chain(node.start)}.distanceTo({end})", Tightness.CHAIN

    def list_of(self, node: ListOf) -> Text:
        return f"[{', '.join(map(self.held, node.elements))}]", Tightness.CHAIN

    def negation(self, node: Not) -> Text:
        asked = node.operand
        if isinstance(asked, Call) and asked.function in _NEGATED:
            return self._called(_NEGATED[asked.function], asked), Tightness.CHAIN
        return f"not {self.chain(asked)}", Tightness.NOT

    def conjunction(self, node: And) -> Text:
        parts = phrases.joined(node.operands, self)
        if len(parts) == 1:
            return parts[0], Tightness.COMPARED
        return " and ".join(parts), Tightness.AND

    def disjunction(self, node: Or) -> Text:
        parts = [self.held(each, Tightness.AND) for each in node.operands]
        return " or ".join(parts), Tightness.OR

    def choice(self, node: If) -> Text:
        given = ", ".join(map(self.held, (node.condition, node.then, node.otherwise)))
        return f"if({given})", Tightness.CHAIN

    def comparison(self, node: Compare) -> Text:
        phrase = phrases.at_distance([node], self)
        if phrase:
            return phrase, Tightness.COMPARED
        text = f"{self.sum(node.left)} {node.comparison} {self.sum(node.right)}"
        return text, Tightness.COMPARED

    def arithmetic(self, node: Arithmetic) -> Text:
        own = Tightness.SUM if node.operator in _SUMS else Tightness.PRODUCT
        right = self.held(node.right, Tightness(own + 1))
        return f"{self.held(node.left, own)} {node.operator} {right}", own

    def containment(self, node: In) -> Text:
        return f"{self.sum(node.element)} in {self.sum(node.of)}", Tightness.COMPARED

    def between(self, node: Between) -> Text:
        phrase = phrases.within(node, self)
        if phrase:
            return phrase, Tightness.COMPARED
        given = f"{self.held(node.start)}, {self.held(node.end)}"
        return f"{self.chain(node.instant)}.isBetween({given})", Tightness.CHAIN

    def call(self, node: Call) -> Text:
        if node.function in _CURRENT and node.operands == (Now(),):
            return _CURRENT[node.function], Tightness.CHAIN
        if node.function is Function.LIKE:
            text, pattern = map(self.sum, node.operands)
            return f"{text} like {pattern}", Tightness.COMPARED
        return self._called(node.function, node), Tightness.CHAIN

    def _called(self, name: str, node: Call) -> str:
        given = list(node.operands)
        if given[2:] == [Literal(value=True)]:  # whether case matters, and it does anyway
            del given[2]
        return f"{self.chain(given[0])}.{name}({', '.join(map(self.held, given[1:]))})"

    def exists(self, node: Exists) -> Text:
        first = node.bindings[0]
        if self._place.enters(first.variable):
            return self._those(first, node.condition), Tightness.CHAIN
        return self._quantified("exists", node), Tightness.WHOLE

    def for_all(self, node: ForAll) -> Text:
        return self._quantified("forall", node), Tightness.WHOLE

    def _quantified(self, word: str, node: Exists | ForAll) -> str:
        inside = self
        bindings = []
        for each in node.bindings:
            bindings.append(f"{each.variable} from {inside.chain(each.source)}")
            inside = inside.knowing(each.variable)
        condition = inside.held(node.condition)
        where = "" if node.condition == Literal(value=True) else f" where {condition}"
        return f"{word} {', '.join(bindings)}{where}"

    def filtered(self, node: Filter) -> Text:
        binding = node.binding
        if self._place.enters(binding.variable):
            return self._those(binding, node.condition), Tightness.CHAIN
        condition = self.knowing(binding.variable).held(node.condition)
        words = ["select", binding.variable, "from", self.chain(binding.source), "where", condition]
        return " ".join(words), Tightness.WHOLE

    def _those(self, binding: Binding, condition: Node) -> str:
        inside = _Writer(self._place.entered())
        return f"{self.chain(binding.source)}[{inside.held(condition)}]"

    def mapped(self, node: Map) -> Text:
        return self._of_each("map", node.binding, node.value), Tightness.CHAIN

    def grouped(self, node: GroupBy) -> Text:
        return self._of_each("groupBy", node.binding, node.value), Tightness.CHAIN

    def best(self, node: Best) -> Text:
        name = "topN" if node.is_largest else "bottomN"
        count = f", {node.count}"
        return self._of_each(name, node.binding, node.value, count), Tightness.CHAIN

    def aggregate(self, node: Aggregate) -> Text:
        if node.binding.variable == ELEMENT:
            return f"{self.chain(node.binding.source)}.{node.quantity}()", Tightness.CHAIN
        assert node.value is not None
        return self._of_each(node.quantity, node.binding, node.value), Tightness.CHAIN

    def _of_each(self, name: str, binding: Binding, value: Node, more: str = "") -> str:
        source = self.chain(binding.source)
        if self._place.enters(binding.variable):
            inside = _Writer(self._place.entered())
            return f"{source}.{name}({inside.held(value)}{more})"
        written = self.knowing(binding.variable).held(value)
        return f"{source}.{name}(({binding.variable}) => {written}{more})"

    def let(self, node: Let) -> Text:
        body = self.knowing(node.variable).held(node.body)
        return f"let {node.variable} = {self.sum(node.value)} in {body}", Tightness.WHOLE
