"""How far an export is, and when it will be done at the pace it has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.engine.orders import Progress

#: The phase whose steps are alike, so that the rest takes as long as what was done so far.
STEADY = "merging"
#: What is never told before the end: after the last slice files are closed and the batch shown.
ALMOST = 99.9


class Pace:
    """Watches the progress of one attempt."""

    def __init__(self) -> None:
        self._began: tuple[datetime, int] | None = None

    def estimate(self, told: Progress, now: datetime | None = None) -> dict[str, object]:
        """Say how much is done, in percent, and when all will be, in milliseconds since 1970.

        Nothing is done before the steady phase, and the end cannot be told before its second step:
        then there is no ``estimated_end_ms``. What earlier attempts did says nothing of the pace.
        """
        now = now or datetime.now(UTC)
        if told.phase != STEADY or not told.total:
            return {"percent": 0.0}
        percent = min(round(100 * told.done / told.total, 1), ALMOST)
        if self._began is None:
            self._began = (now, told.done)
        began_at, done_before = self._began
        done = told.done - done_before
        if not done:
            return {"percent": percent}
        remaining: timedelta = (now - began_at) * ((told.total - told.done) / done)
        return {
            "percent": percent,
            "estimated_end_ms": int((now + remaining).timestamp() * 1000),
        }
