"""What tests of the operations share."""

from __future__ import annotations

import pytest

from catalog.access import ALL
from catalog.organisations import Caller, ClientId, Scope


@pytest.fixture
def caller(scope: Scope) -> Caller:
    """Somebody who may do everything."""
    return Caller(client_id=ClientId("amy"), scope=scope, request_id="r", may=ALL)
