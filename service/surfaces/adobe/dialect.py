"""How Adobe's dialect is told who calls, and says what went wrong."""

from __future__ import annotations

from service.surfaces.adobe import callers, errors
from service.surfaces.http import Dialect

#: It speaks wherever no other dialect does.
DIALECT = Dialect(
    speaks_at=lambda _path: True,
    identify=callers.identify,
    refused=errors.refused,
    from_http=errors.from_http,
    defect=errors.defect,
)
