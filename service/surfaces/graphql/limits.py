"""What a document may be, and how deep and how costly, told before anything of it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    parse,
    validate,
)

#: Characters of a document, and words, marks and texts in it: nothing else is answered while one
#: is read, and these take a third of a second. The largest of a known client has 2,328, and 309.
MOST_CHARACTERS = 100_000
MOST_TOKENS = 5_000
#: Fields within fields: as many as an introspection has. Known clients have 6 at most.
MOST_DEPTH = 15
#: What fields cost together. The largest document of a known client costs 246.
MOST_COST = 2_000
#: Fragments, each of which is compared with each other. Known clients have none.
MOST_FRAGMENTS = 100
#: A field costs 1; a mutation, which submits a job, as much as this.
MUTATION_COST = 200
#: Looking up a user takes a tenth of a second, as long as some hundred other fields.
USER_COST = 50
_USERS = frozenset({"userProfile", "dataCenterUserProfile"})

#: Of a document whose fragments never end.
_ENDLESS = (1 << 30, 1 << 30)


def read(document: str, schema: GraphQLSchema) -> DocumentNode:
    """Read a document; refuses with GraphQLError what is none, and what is beyond a limit.

    That is asked first: other rules take long where a document is too deep or too costly.
    """
    if len(document) > MOST_CHARACTERS:
        raise GraphQLError(
            f"the document has {len(document)} characters, {MOST_CHARACTERS} is the most: "
            "long values are said as variables"
        )
    found = parse(document, max_tokens=MOST_TOKENS)
    for error in validate(schema, found, [Bounded]):
        raise error
    return found


class Bounded(ASTValidationRule):
    """Refuses a document that is too deep or too costly, and text that cannot be kept."""

    def enter_document(self, node: DocumentNode, *_: Any) -> None:
        fragments = {
            each.name.value: each
            for each in node.definitions
            if isinstance(each, FragmentDefinitionNode)
        }
        if len(fragments) > MOST_FRAGMENTS:
            problem = f"the document has {len(fragments)} fragments, {MOST_FRAGMENTS} is the most"
            self.report_error(GraphQLError(problem))
            return
        weighing = _Weighing(fragments)
        for each in node.definitions:
            if not isinstance(each, OperationDefinitionNode):
                continue
            depth, cost = weighing.of(each.selection_set)
            if each.operation is OperationType.MUTATION:
                cost += MUTATION_COST * weighing.width(each.selection_set)
            if depth > MOST_DEPTH:
                problem = f"fields lie more than {MOST_DEPTH} deep"
            elif cost > MOST_COST:
                problem = f"the document costs {min(cost, _ENDLESS[0])}, {MOST_COST} is the most"
            else:
                continue
            self.report_error(GraphQLError(problem, each))

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        # Escaped once more than those that are refused in JSON.
        if "\0" in node.value:
            self.report_error(GraphQLError("the character U+0000 is not allowed in text", node))


class _Weighing:
    """Weighs selections; a fragment once, however often it is spread."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, selections: SelectionSetNode | None) -> tuple[int, int]:
        """Give how deep fields lie, and what they cost together."""
        depth = cost = 0
        for each in selections.selections if selections else ():
            match each:
                case FieldNode():
                    below, own = self.of(each.selection_set)
                    below, own = below + 1, own + (USER_COST if each.name.value in _USERS else 1)
                case InlineFragmentNode():
                    below, own = self.of(each.selection_set)
                case FragmentSpreadNode():
                    below, own = self._fragment(each.name.value)
                case _:
                    continue
            depth, cost = max(depth, below), min(cost + own, _ENDLESS[1])
        return depth, cost

    def width(self, selections: SelectionSetNode) -> int:
        """Count the fields at the top, those in fragments included."""
        count = 0
        for each in selections.selections:
            if isinstance(each, FieldNode):
                count += 1
            elif isinstance(each, InlineFragmentNode):
                count += self.width(each.selection_set)
            elif isinstance(each, FragmentSpreadNode):
                count += self._fragment(each.name.value)[1]
        return count

    def _fragment(self, name: str) -> tuple[int, int]:
        if name not in self._known:
            self._known[name] = _ENDLESS  # what it is found to be within itself
            found = self._fragments.get(name)
            self._known[name] = self.of(found.selection_set) if found else (0, 0)
        return self._known[name]
