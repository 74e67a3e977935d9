"""Which scope each call of this dialect needs: the one table, asked before any handler runs."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp.typedefs import Handler

from catalog.access import Access
from service.surfaces.graphql import documents
from service.surfaces.growingio import (
    exports,
    merged_users,
    projects,
    properties,
    segments,
    tokens,
    users,
)

#: A handler that stands here twice would be two calls; each is one, so each has one scope.
NEEDS: Mapping[Handler, Access] = {
    # Each field of a document asks for what it needs besides.
    documents.ask: Access.PROPERTIES_READ,
    documents.sdl: Access.PROPERTIES_READ,
    exports.download: Access.DATA_READ,
    exports.show_result: Access.EXPORTS_READ,
    exports.submit_segment: Access.EXPORTS_WRITE,
    exports.submit_tag: Access.EXPORTS_WRITE,
    merged_users.listing: Access.DATA_READ,
    projects.create: Access.PROPERTIES_WRITE,
    projects.create_space: Access.PROPERTIES_WRITE,
    projects.list_spaces: Access.PROPERTIES_READ,
    projects.listing: Access.PROPERTIES_READ,
    projects.remove_space: Access.PROPERTIES_WRITE,
    projects.rename: Access.PROPERTIES_WRITE,
    projects.replace_space: Access.PROPERTIES_WRITE,
    properties.compute: Access.PROPERTIES_WRITE,
    properties.create: Access.PROPERTIES_WRITE,
    properties.listing: Access.PROPERTIES_READ,
    properties.remove: Access.PROPERTIES_WRITE,
    properties.replace: Access.PROPERTIES_WRITE,
    properties.show: Access.PROPERTIES_READ,
    segments.compute: Access.SEGMENTS_WRITE,
    segments.listing: Access.SEGMENTS_READ,
    segments.put: Access.SEGMENTS_WRITE,
    segments.show: Access.SEGMENTS_READ,
    tokens.listing: Access.TOKENS_READ,
    tokens.make: Access.TOKENS_WRITE,
    tokens.revoke: Access.TOKENS_WRITE,
    users.of_segment: Access.DATA_READ,
    users.of_tag: Access.DATA_READ,
    users.show: Access.DATA_READ,
}
