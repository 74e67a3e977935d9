"""Bodies as GrowingIO's REST API writes them, a module for each topic. Its spelling stops here."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

#: Where calls of the open API, of the portal and of the newest generation begin.
OPEN_API = "/v1/api"
PORTAL = "/v2/api/enterprise/{enterprise}/projects/{project}"


class Wire(BaseModel):
    """A body in camel case. Keys it does not know are ignored: clients send many."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")


def instant(at: datetime) -> str:
    """Write an instant as the examples do, in microseconds UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
