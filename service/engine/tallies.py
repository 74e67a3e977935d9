"""What the rows of one part add up to, counted while they are merged."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from service.engine.exclusion_lists import Shortened


@dataclass(slots=True)
class Tally:
    """Counters as :class:`~service.engine.orders.Part` has them, and who is not whole."""

    counters: Counter[str] = field(default_factory=lambda: Counter({"profiles": 0, "events": 0}))
    shortened: Shortened = field(default_factory=Shortened)
