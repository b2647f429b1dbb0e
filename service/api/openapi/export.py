"""Writes the OpenAPI document: ``python -m service.api.openapi.export openapi/openapi.json``."""

import json
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from service.api import routes


def document() -> dict[str, Any]:
    """The document of the routes alone: no settings, no connections."""
    app = FastAPI(redirect_slashes=False)
    routes.install(app)
    return app.openapi()


def text() -> str:
    return json.dumps(document(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text())
