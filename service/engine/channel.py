"""Frames between a worker and its engine child: a length, then a document, over a pipe.

The parent sends one order and then empty frames, which only say that it is alive; the child
sends answers. Both ends are of one release, so the documents need no version of their own.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from pydantic import BaseModel, TypeAdapter

from service.engine.orders import Answer, AnyOrder

_LENGTH = struct.Struct(">I")
_ORDER: TypeAdapter[AnyOrder] = TypeAdapter(AnyOrder)
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer)

#: Bytes of the length in front of every frame.
HEAD_BYTES = _LENGTH.size
#: A frame that says nothing but "I am here".
ALIVE = _LENGTH.pack(0)


def frame(document: BaseModel) -> bytes:
    """The bytes that carry a document."""
    body = document.model_dump_json().encode()
    return _LENGTH.pack(len(body)) + body


def body_size(head: bytes) -> int:
    """How many bytes follow a head."""
    (size,) = _LENGTH.unpack(head)
    return int(size)


def order_in(body: bytes) -> AnyOrder:
    return _ORDER.validate_json(body)


def answer_in(body: bytes) -> Answer:
    return _ANSWER.validate_json(body)


def receive(pipe: BinaryIO) -> bytes | None:
    """Wait for the next frame's body; None when the other end is gone."""
    head = pipe.read(HEAD_BYTES)
    if len(head) < HEAD_BYTES:
        return None
    size = body_size(head)
    body = pipe.read(size)
    return body if len(body) == size else None
