"""How GrowingIO's REST API is told who calls, and says what went wrong."""

from __future__ import annotations

from service.surfaces.growingio import callers, errors
from service.surfaces.http import Dialect

DIALECT = Dialect(
    speaks_at=callers.speaks_at,
    identify=callers.identify,
    refused=errors.refused,
    from_http=errors.from_http,
    defect=errors.defect,
)
