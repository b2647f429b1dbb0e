"""Documentation over HTTP: Swagger UI at ``/docs``, pages as Markdown, their pictures, their index at ``/llms.txt``.

It works without internet: the assets of Swagger UI come from this process.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

import service
from service.api.http.path_prefix import PREFIX
from service.api.http.responses import json_response
from service.api.openapi.page import people_document
from service.errors import NotFound

ASSETS: Final = "/docs/assets"
_DOCUMENT: Final = "/docs/openapi.json"
_OPTIONS: Final[dict[str, Any]] = {
    "persistAuthorization": True,  # across reloads
    "defaultModelsExpandDepth": -1,  # no list of all schemas below the operations
    "displayRequestDuration": True,
    "filter": True,
}
_INLINE_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
#: Paths of this gateway in the index: targets of links, and code.
_OWN_PATH: Final = re.compile(rb"(?:\]\(|`)(?=/)")
_KINDS: Final = (".md", ".png")
_PACKAGE: Final = Path(service.__file__).parent
#: In a wheel, and in a checkout.
_FOLDERS: Final = (_PACKAGE / "documents", _PACKAGE.parent / "docs")


@cache
def router() -> APIRouter:
    """Build the routes. The table of pages is made here; a page is read at its first request."""
    routes = APIRouter(include_in_schema=False)
    pages = _pages()

    @routes.get("/docs")
    async def swagger_ui(request: Request) -> HTMLResponse:
        prefix = request.scope.get(PREFIX, "")
        assets = f"{prefix}{ASSETS}"
        page = get_swagger_ui_html(
            openapi_url=f"{prefix}{_DOCUMENT}",
            title="Seedance Gateway",
            swagger_js_url=f"{assets}/swagger-ui-bundle.js",
            swagger_css_url=f"{assets}/swagger-ui.css",
            swagger_favicon_url=f"{assets}/favicon.png",
            swagger_ui_parameters=_OPTIONS,
        )
        page.headers.update(_page_headers(bytes(page.body)))
        return page

    @routes.get(_DOCUMENT)
    async def openapi(request: Request) -> Response:
        return json_response(people_document(request.app.openapi()))

    @routes.get("/llms.txt")
    async def index(request: Request) -> Response:
        prefix = request.scope.get(PREFIX, "").encode()
        body = bytes(_response(pages, "/llms.txt", "text/plain").body)
        return Response(_OWN_PATH.sub(rb"\g<0>" + prefix, body), media_type="text/plain")

    @routes.get("/docs/{page:path}")
    async def document(page: str) -> Response:
        return _response(pages, f"/docs/{page}", "image/png" if page.endswith(".png") else "text/markdown")

    return routes


def assets() -> StaticFiles:
    return StaticFiles(packages=[("fastapi_offline", "static")])


def _page_headers(page: bytes) -> dict[str, str]:
    """Return headers that let the page run its own scripts only, and no other page show it in a frame.

    Swagger UI sets style attributes, and its icons are data URLs.
    """
    scripts = (base64.b64encode(hashlib.sha256(text).digest()).decode() for text in _INLINE_SCRIPT.findall(page))
    policy = {
        "default-src": "'none'",
        "script-src": " ".join(("'self'", *(f"'sha256-{digest}'" for digest in scripts))),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
    }


def _pages() -> dict[str, Path]:
    """Return the file of each page by its URL path. A request can name nothing else."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    if folder is None:
        return {}
    pages = {
        f"/docs/{path.relative_to(folder).as_posix()}": path for path in folder.rglob("*") if path.suffix in _KINDS
    }
    return {"/llms.txt": folder / "llms.txt", **pages}


def _response(pages: dict[str, Path], path: str, media_type: str) -> Response:
    if path not in pages:
        raise NotFound("There is no such page; /llms.txt lists all pages.")
    return Response(_content(pages[path]), media_type=media_type)


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()
