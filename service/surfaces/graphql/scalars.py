"""What scalars take that callers send. What is answered is spelled before it comes here."""

from __future__ import annotations

from ariadne import ScalarType
from graphql import GraphQLError

HASH_ID = ScalarType("HashId")


@HASH_ID.value_parser
def hash_id(value: object) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"HashId is a text of eight letters and digits, not {value!r}")
    return value
