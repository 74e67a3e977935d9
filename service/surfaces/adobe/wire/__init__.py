"""Bodies as Adobe's APIs write them, a module for each topic. Their spelling stops here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    """A body in camel case. Keys it does not know are ignored: clients send many."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")
