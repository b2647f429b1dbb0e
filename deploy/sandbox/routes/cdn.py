"""v3.fal.media: uploads in the forms of the JS and the Python client, and downloads with byte ranges."""

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from sandbox import files, refusals
from sandbox.ids import word
from sandbox.routes.address import base_of
from sandbox.runtime import Runtime


async def upload(request: Request) -> Response:
    """Python client: the raw bytes, with the file's name in a header."""
    runtime: Runtime = request.app.state.runtime

    async def handle() -> Response:
        file = runtime.files.create(_file_name(request))
        await files.write(request.stream(), file.path)
        return JSONResponse({"access_url": f"{base_of(request)}/cdn/files/{file.key}"})

    return await runtime.gate.admit(request, handle)


async def begin_parts(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime

    async def handle() -> Response:
        file = runtime.files.create(_file_name(request))
        return JSONResponse({"access_url": f"{base_of(request)}/cdn/files/{file.key}", "uploadId": word()})

    return await runtime.gate.admit(request, handle)


async def put_target(request: Request) -> Response:
    """JS client: no key here, the address itself is the secret."""
    runtime: Runtime = request.app.state.runtime
    target = runtime.files.place(request.path_params["key"])
    if target is None:
        return refusals.json_error(404, "Not Found")

    async def handle() -> Response:
        await files.write(request.stream(), target)
        return JSONResponse({})

    return await runtime.gate.answer(handle, "storage")


async def put_part(request: Request) -> Response:
    """One part of either client's multipart upload; JS reads the body, Python the ETag header."""
    runtime: Runtime = request.app.state.runtime
    number = request.path_params["number"]
    part = runtime.files.part(request.path_params["key"], number)
    await files.write(request.stream(), part)
    etag = hashlib.sha256(f"{part}".encode()).hexdigest()[:32]
    return JSONResponse({"partNumber": number, "etag": etag}, headers={"etag": f'"{etag}"'})


async def complete_parts(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    key = request.path_params["key"]
    target = runtime.files.place(key)
    if target is None:
        return refusals.json_error(404, "Not Found")
    await runtime.files.join_parts(key, target)
    return JSONResponse({})


async def download(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    path = runtime.files.find(request.path_params["key"])

    async def handle() -> Response:
        return _file(path)

    return await runtime.gate.answer(handle, "media")


def _file(path: Path | None) -> Response:
    return FileResponse(path) if path else refusals.json_error(404, "Not Found")


def _file_name(request: Request) -> str:
    return request.headers.get("x-fal-file-name") or "file"


routes = [
    Route("/files/upload", upload, methods=["POST"]),
    Route("/files/upload/multipart", begin_parts, methods=["POST"]),
    Route("/files/{key:path}/multipart/{upload_id}/complete", complete_parts, methods=["POST"]),
    Route("/files/{key:path}/multipart/{upload_id}/{number:int}", put_part, methods=["PUT"]),
    Route("/files/{key:path}", download, methods=["GET"]),
    Route("/upload/{key:path}/complete", complete_parts, methods=["POST"]),
    Route("/upload/{key:path}/{number:int}", put_part, methods=["PUT"]),
    Route("/upload/{key:path}", put_target, methods=["PUT"]),
]
