"""A bounded memory of answers that stay true for a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from datetime import timedelta
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Remembered(Generic[Key, Value]):
    """Values by key until they expire. When full, the one that was asked for longest ago goes."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return what is remembered, or None when nothing is, or no longer."""
        found = self._kept.get(key)
        if found is None:
            return None
        expires, value = found
        if expires <= time.monotonic():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return value

    def keep(self, key: Key, value: Value, *, lasts: timedelta) -> None:
        """Remember a value for at most this long."""
        self._kept[key] = (time.monotonic() + lasts.total_seconds(), value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
