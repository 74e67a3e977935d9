"""How fast each client may call: a rate that lasts, and a burst now and then."""

from __future__ import annotations

import time
from datetime import timedelta

from catalog.errors import TooManyCalls
from catalog.organisations import ClientId

#: A client that paused may call for this long's worth at once.
BURST_SECONDS = 2.0

#: Those known before the ones that are within their rate are forgotten: about 1 MB.
_MOST_KNOWN = 10_000


class Rates:
    """The rate of every client, in the memory of this process: another has its own.

    Kept as the instant at which a client will have made up for its calls so far (the generic
    cell rate algorithm): one number each, and nothing to refill.
    """

    def __init__(self, calls_per_second: int) -> None:
        """``calls_per_second`` of one client; 0 is no limit."""
        self._calls_per_second = calls_per_second
        self._made_up_at: dict[ClientId, float] = {}

    def take(self, client_id: ClientId) -> None:
        """Count a call; refuses with TooManyCalls, without counting it, one that is too many."""
        if not self._calls_per_second:
            return
        now = time.monotonic()
        made_up_at = max(self._made_up_at.get(client_id, now), now)
        ahead_seconds = made_up_at + 1 / self._calls_per_second - now
        if ahead_seconds > max(BURST_SECONDS, 1 / self._calls_per_second):
            raise TooManyCalls(
                f"client {client_id} calls faster than {self._calls_per_second} times a second",
                retry_after=timedelta(seconds=ahead_seconds - BURST_SECONDS),
            )
        self._made_up_at[client_id] = made_up_at + 1 / self._calls_per_second
        if len(self._made_up_at) > _MOST_KNOWN:
            self._made_up_at = {
                id: instant for id, instant in self._made_up_at.items() if instant > now
            }
