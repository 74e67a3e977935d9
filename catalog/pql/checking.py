"""Whether a rule fits the fields that profiles and events have, and what it needs of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from catalog.pql import signatures, types
from catalog.pql.knowledge import Needs, Surroundings, Typed
from catalog.pql.making import condition, over
from catalog.pql.nodes import (
    PROFILE,
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
    Or,
    Quantity,
    Shifted,
    StartOf,
    Variable,
)
from catalog.pql.problems import Problem, nearest
from catalog.pql.scopes import element_name
from catalog.pql.types import BOOLEAN, DOUBLE, INSTANT, WHOLE, described, list_of
from catalog.pql.walking import Visitor
from catalog.schemas import Field, Kind, Path

Fields = tuple[Field, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A rule that fits, and what is needed to evaluate it."""

    #: As it was, but that a field of all elements of a list is spelt out as a Map.
    node: Node
    #: Leaves of the union, from the root of a profile and of an event.
    profile_paths: frozenset[Path]
    event_paths: frozenset[Path]
    needs_events: bool
    #: Looks at events once more for each event.
    is_chained: bool


def check(
    node: Node, profile_fields: Fields, event_fields: Fields, *, text: str | None = None
) -> Checked:
    """See whether a rule fits. Raises InvalidRule, with the place if its text is given."""
    needs = Needs(profile_fields, event_fields)
    try:
        rule = _Checker(needs, Surroundings()).asked(condition(node))
    except Problem as problem:
        raise problem.refusal(text) from None
    return Checked(
        node=rule,
        profile_paths=frozenset(path for of, path in needs.origins if of == "profile"),
        event_paths=frozenset(path for of, path in needs.origins if of == "event"),
        needs_events=needs.needs_events,
        is_chained=needs.is_chained,
    )


class _Checker(Visitor[Typed]):
    def __init__(self, needs: Needs, here: Surroundings) -> None:
        self._needs = needs
        self._here = here

    def value(self, node: Node) -> Typed:
        """A value that is needed whole."""
        typed = self.visit(node)
        self._needs.whole(typed)
        return typed

    def asked(self, node: Node) -> Node:
        """A condition."""
        typed = self.value(node)
        if typed.type is not None and typed.type.kind is not Kind.BOOLEAN:
            found = described(typed.type)
            raise Problem(f"expected a condition, but this is {found}", node.at)
        return typed.node

    def of_group(self, node: Node, *groups: str) -> Typed:
        typed = self.value(node)
        signatures.expect(typed, *groups)
        return typed

    def literal(self, node: Literal) -> Typed:
        return Typed(node, types.of_constant(node.value))

    def now(self, node: Now) -> Typed:
        return Typed(node, INSTANT)

    def events(self, node: Events) -> Typed:
        self._needs.needs_events = True
        return Typed(node, self._needs.events)

    def start_of(self, node: StartOf) -> Typed:
        return Typed(replace(node, of=self.of_group(node.of, types.TIME).node), INSTANT)

    def shifted(self, node: Shifted) -> Typed:
        amount = self.value(node.amount)
        if amount.type is not None and not types.is_whole(amount.type):
            found = described(amount.type)
            raise Problem(f"expected a whole number of units, but this is {found}", node.amount.at)
        of = self.of_group(node.of, types.TIME)
        return Typed(replace(node, of=of.node, amount=amount.node), INSTANT)

    def variable(self, node: Variable) -> Typed:
        if node == PROFILE:
            return Typed(node, self._needs.profile, ("profile", ()))
        known = self._here.variables.get(node.name)
        if known is None:
            guess = nearest(node.name, self._here.variables)
            raise Problem(f"there is no variable {node.name} here{guess}", node.at)
        return Typed(node, known.type, known.origin)

    def member(self, node: Member) -> Typed:
        of = self.visit(node.of)
        if of.type is not None and of.type.kind is Kind.ARRAY:
            return self._of_all(node, of)
        found, origin = self._needs.field_of(of, node.name, node.at)
        return Typed(replace(node, of=of.node), found, origin)

    def _of_all(self, node: Member, of: Typed) -> Typed:
        """A field of all elements of a list, which are the lists that a Map makes."""
        self._needs.whole(of)
        assert of.type is not None
        variable = Variable(element_name(self._here.levels), at=node.at)
        element = Typed(variable, of.type.element, self._needs.origin_of(of.type.element))
        found, origin = self._needs.field_of(element, node.name, node.at)
        value = Typed(Member(variable, node.name, at=node.at), found, origin)
        self._needs.whole(value)
        return Typed(Map(over(variable.name, of.node), value.node, at=node.at), list_of(found))

    def list_of(self, node: ListOf) -> Typed:
        elements = [self.value(each) for each in node.elements]
        whole = Typed(node, None)
        for each in elements:
            signatures.expect_plain(each)
            whole = replace(each, type=signatures.together(whole, each))
        made = replace(node, elements=tuple(each.node for each in elements))
        return Typed(made, list_of(whole.type))

    def negation(self, node: Not) -> Typed:
        return Typed(replace(node, operand=self.asked(node.operand)), BOOLEAN)

    def conjunction(self, node: And) -> Typed:
        return Typed(replace(node, operands=tuple(map(self.asked, node.operands))), BOOLEAN)

    def disjunction(self, node: Or) -> Typed:
        return Typed(replace(node, operands=tuple(map(self.asked, node.operands))), BOOLEAN)

    def choice(self, node: If) -> Typed:
        chosen = [self.value(node.then), self.value(node.otherwise)]
        asked = self.asked(node.condition)
        for each in chosen:
            if each.type is None or each.type.kind is not Kind.ARRAY:
                signatures.expect_plain(each)
        then, otherwise = chosen
        made = replace(node, condition=asked, then=then.node, otherwise=otherwise.node)
        return Typed(made, signatures.together(then, otherwise))

    def comparison(self, node: Compare) -> Typed:
        left, right = self.value(node.left), self.value(node.right)
        signatures.compared(node.comparison, left, right)
        return Typed(replace(node, left=left.node, right=right.node), BOOLEAN)

    def arithmetic(self, node: Arithmetic) -> Typed:
        left, right = self.value(node.left), self.value(node.right)
        found = signatures.calculated(node.operator, left, right)
        return Typed(replace(node, left=left.node, right=right.node), found)

    def containment(self, node: In) -> Typed:
        element, of = self.value(node.element), self.value(node.of)
        signatures.contained(element, of)
        return Typed(replace(node, element=element.node, of=of.node), BOOLEAN)

    def between(self, node: Between) -> Typed:
        instant, start, end = (
            self.of_group(each, types.TIME).node for each in (node.instant, node.start, node.end)
        )
        return Typed(replace(node, instant=instant, start=start, end=end), BOOLEAN)

    def distance(self, node: Distance) -> Typed:
        start, end = (self.of_group(each, types.TIME).node for each in (node.start, node.end))
        return Typed(replace(node, start=start, end=end), DOUBLE)

    def call(self, node: Call) -> Typed:
        operands = [self.value(each) for each in node.operands]
        found = signatures.result(node, operands)
        made = replace(node, operands=tuple(each.node for each in operands))
        origin = self._needs.origin_of(found) if node.function is Function.HEAD else None
        return Typed(made, found, origin)

    def exists(self, node: Exists) -> Typed:
        return self._quantified(node)

    def for_all(self, node: ForAll) -> Typed:
        return self._quantified(node)

    def _quantified(self, node: Exists | ForAll) -> Typed:
        inside = self
        bindings = []
        for each in node.bindings:
            binding, _, inside = inside._bound(each)
            bindings.append(binding)
        asked = inside.asked(node.condition)
        return Typed(replace(node, bindings=tuple(bindings), condition=asked), BOOLEAN)

    def filtered(self, node: Filter) -> Typed:
        binding, source, inside = self._bound(node.binding)
        asked = inside.asked(node.condition)
        return Typed(replace(node, binding=binding, condition=asked), source.type)

    def mapped(self, node: Map) -> Typed:
        binding, _, inside = self._bound(node.binding)
        value = inside.value(node.value)
        return Typed(replace(node, binding=binding, value=value.node), list_of(value.type))

    def grouped(self, node: GroupBy) -> Typed:
        binding, source, inside = self._bound(node.binding)
        value = inside.value(node.value)
        signatures.expect_plain(value)
        return Typed(replace(node, binding=binding, value=value.node), list_of(source.type))

    def best(self, node: Best) -> Typed:
        binding, source, inside = self._bound(node.binding)
        if node.count < 0:
            raise Problem("expected how many, which is not negative", node.at)
        value = inside.of_group(node.value, *sorted(types.ORDERED))
        return Typed(replace(node, binding=binding, value=value.node), source.type)

    def aggregate(self, node: Aggregate) -> Typed:
        binding, _, inside = self._bound(node.binding)
        if node.value is None:
            return Typed(replace(node, binding=binding), WHOLE)
        groups = [types.NUMBER]
        if node.quantity in (Quantity.MIN, Quantity.MAX):
            groups = sorted(types.ORDERED)
        value = inside.of_group(node.value, *groups)
        is_mean = node.quantity is Quantity.AVERAGE
        made = replace(node, binding=binding, value=value.node)
        return Typed(made, DOUBLE if is_mean else value.type or WHOLE)

    def let(self, node: Let) -> Typed:
        value = self.value(node.value)
        inside = _Checker(self._needs, self._here.knowing(node.variable, value))
        body = inside.visit(node.body)
        return Typed(replace(node, value=value.node, body=body.node), body.type, body.origin)

    def _bound(self, binding: Binding) -> tuple[Binding, Typed, _Checker]:
        """A binding whose list fits, that list, and who checks what is asked of its elements."""
        source = self.value(binding.source)
        element = signatures.expect_list(source)
        origin = self._needs.origin_of(element)
        others = self._here.variables.values()
        if origin and any(each.origin == origin for each in others):
            self._needs.is_chained = True
        here = self._here.knowing(
            binding.variable, Typed(Variable(binding.variable), element, origin)
        )
        if binding.variable == element_name(here.levels):
            here = here.entered()
        return replace(binding, source=source.node), source, _Checker(self._needs, here)
