"""An export that stands still when it has written some of its parts, until it is let go.

Whoever disturbs an export meets it half done then, however late on a busy machine.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from tests.acceptance.service import POLL_SECONDS, Service
from tests.patience import PATIENCE_SECONDS

#: Small parts, some of which are kept when the engine stands still before the others.
SMALL_PARTS = {
    "PROFILE_EXPORTS_ENGINE_PART_ROW_COUNT": "500",
    "PROFILE_EXPORTS_ENGINE_SLICE_SIZE_BYTES": str(1 << 20),
}
KEPT = 4

_FAULTS = Path(__file__).parents[1] / "chaos" / "faults"
_KEPT = "SELECT count(*) FROM parts JOIN plans ON plans.id = parts.plan_id WHERE job_id = $1"


class Hold:
    """Holds the engines of a service whose processes were given :attr:`environment`."""

    def __init__(self, folder: Path) -> None:
        self._document = folder / "faults.json"

    @property
    def environment(self) -> Mapping[str, str]:
        paths = [str(_FAULTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            **SMALL_PARTS,
            "PYTHONPATH": os.pathsep.join(paths),
            "CHAOS_FAULTS": str(self._document),
        }

    def hold(self) -> None:
        """Have exports stand still from part :data:`KEPT` on."""
        fresh = self._document.with_suffix(".new")
        fresh.write_text(json.dumps({"fault": "held", "from": KEPT}), encoding="utf-8")
        fresh.rename(self._document)

    def let_go(self) -> None:
        self._document.unlink()


def until_half_done(service: Service, job_id: int) -> None:
    """Return as soon as a worker has kept all the parts of a held export that it may."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while service.rows(_KEPT, job_id)[0]["count"] < KEPT:
        assert time.monotonic() < deadline
        time.sleep(POLL_SECONDS)
