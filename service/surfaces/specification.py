"""The specification of this release, and a page to read it in: Swagger UI, served from here.

The page makes no request to anywhere else and may not: its security policy says so to the
browser. Its parts come from the package ``flask-swagger-ui``, of which no code is run.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from aiohttp import hdrs, web

from catalog.errors import NotFound

_SPECIFICATION = Path(__file__).with_name("openapi.yaml")

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Profile Exports</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "/openapi.yaml",
  dom_id: "#page",
  deepLinking: true,
  displayOperationId: true,
  docExpansion: "none",
  validatorUrl: null,
});
"""

#: Swagger UI sets styles from its script and draws its icons from data URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_MEDIA_TYPES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}


async def specification(_request: web.Request) -> web.FileResponse:
    return web.FileResponse(_SPECIFICATION, headers={hdrs.CONTENT_TYPE: "application/yaml"})


async def page(_request: web.Request) -> web.Response:
    return web.Response(
        text=_PAGE,
        content_type="text/html",
        headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"},
    )


async def asset(request: web.Request) -> web.StreamResponse:
    name = request.match_info["asset"]
    if name == "start.js":
        return web.Response(text=_START, content_type="text/javascript")
    if name not in _MEDIA_TYPES:
        raise NotFound("part of the documentation page", name)
    return web.FileResponse(_swagger_ui() / name, headers={hdrs.CONTENT_TYPE: _MEDIA_TYPES[name]})


@cache
def _swagger_ui() -> Path:
    """Where the parts lie. Found, not imported: importing would bring Flask into the process."""
    found = find_spec("flask_swagger_ui")
    assert found is not None
    assert found.submodule_search_locations is not None
    return Path(next(iter(found.submodule_search_locations))) / "dist"


ROUTES = [
    web.get("/openapi.yaml", specification),
    web.get("/docs", page),
    web.get("/docs/{asset}", asset),
]
