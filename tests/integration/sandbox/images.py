"""Start and end images for the tests, and a web server to fetch them from."""

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from PIL import Image

import sandbox

SAMPLES = Path(sandbox.__file__).parent / "samples"
ROCKET, CAT, COFFEE = SAMPLES / "rocket.jpg", SAMPLES / "cat.png", SAMPLES / "coffee.webp"


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def plain(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (120, 30, 60))


def data_uri(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@asynccontextmanager
async def served(files: dict[str, bytes]) -> AsyncIterator[str]:
    async def give(request: web.Request) -> web.Response:
        content = files.get(request.match_info["name"])
        return web.Response(body=content) if content is not None else web.Response(status=404)

    app = web.Application()
    app.router.add_get("/{name}", give)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
