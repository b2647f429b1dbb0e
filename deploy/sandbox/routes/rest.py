"""rest.fal.ai: start of uploads, tokens, and the JWKS that verifies webhooks."""

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox import refusals
from sandbox.ids import word
from sandbox.routes.address import base_of
from sandbox.runtime import Runtime
from sandbox.signing import jwks

TOKEN_LIFETIME = timedelta(hours=1)


class Wanted(BaseModel):
    file_name: str = "file"
    content_type: str = "application/octet-stream"


async def initiate(request: Request) -> Response:
    """JS: PUT the bytes to `upload_url`, use `file_url`. The multipart form has the same answer."""
    runtime: Runtime = request.app.state.runtime

    async def handle() -> Response:
        try:
            wanted = Wanted.model_validate_json(await request.body())
        except ValidationError:
            return refusals.bad_request("an object with file_name and content_type is expected")
        file = runtime.files.create(wanted.file_name)
        base = base_of(request)
        return JSONResponse({"upload_url": f"{base}/cdn/upload/{file.key}", "file_url": f"{base}/cdn/files/{file.key}"})

    return await runtime.gate.admit(request, handle, "storage")


async def auth_token(request: Request) -> Response:
    """Python: a bearer token for `files/upload` on the CDN."""
    runtime: Runtime = request.app.state.runtime

    async def handle() -> Response:
        expires = datetime.now(UTC) + TOKEN_LIFETIME
        content = {
            "token": runtime.keys.issue_token(),
            "token_type": "Bearer",
            "base_url": f"{base_of(request)}/cdn",
            "expires_at": expires.isoformat(),
        }
        return JSONResponse(content)

    return await runtime.gate.admit(request, handle)


async def realtime_token(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime

    async def handle() -> Response:
        return JSONResponse(word(40))

    return await runtime.gate.admit(request, handle)


async def published_keys(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime

    async def handle() -> Response:
        return JSONResponse(jwks(runtime.retired_signer, runtime.signer))

    return await runtime.gate.answer(handle, "keys")


routes = [
    Route("/storage/upload/initiate", initiate, methods=["POST"]),
    Route("/storage/upload/initiate-multipart", initiate, methods=["POST"]),
    Route("/storage/auth/token", auth_token, methods=["POST"]),
    Route("/tokens/", realtime_token, methods=["POST"]),
    Route("/.well-known/jwks.json", published_keys),
]
