"""Conditions in the headers of Catalog's calls: which version is meant, and whether to try only.

``If-Match`` holds versions as the ``E-Tag`` of an answer gave them, with or without the quotes
that HTTP asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web

from catalog.terms import Terms

#: Not HTTP's own name of it, but the one Catalog's documents give.
E_TAG: Final = "E-Tag"

_VERSION = re.compile(r'(?:W/)?"?1\.0\.([0-9]{1,9})"?')


def terms(request: web.Request) -> Terms:
    """On which terms a caller asks for a change. A version that is none of ours fits nothing."""
    return Terms(
        versions=_versions(request.headers.getall(hdrs.IF_MATCH, [])),
        is_trial="validate-only" in request.headers.get(hdrs.PRAGMA, "").lower(),
    )


def tagged(version: int) -> Mapping[str, str]:
    """The headers that name the version of what is answered."""
    written = f"1.0.{version - 1}"
    return {hdrs.ETAG: f'"{written}"', E_TAG: written}


def _versions(headers: list[str]) -> frozenset[int] | None:
    tags = [tag.strip() for header in headers for tag in header.split(",") if tag.strip()]
    if not tags or "*" in tags:
        return None
    found = [_VERSION.fullmatch(tag) for tag in tags]
    return frozenset(int(match[1]) + 1 for match in found if match)
