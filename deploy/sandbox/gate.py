"""Checks of every API call before it is handled: the key, then the faults for all jobs."""

import asyncio
from collections.abc import Awaitable, Callable

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from sandbox import refusals
from sandbox.chaos import Chaos, HttpFault, Operation
from sandbox.connection import NoAnswer
from sandbox.floods import FLOODS
from sandbox.ids import word

Handler = Callable[[], Awaitable[Response]]


class Keys:
    def __init__(self, key: SecretStr | None) -> None:
        self._key = key.get_secret_value() if key else None
        self._tokens: set[str] = set()  # of `storage/auth/token`

    def issue_token(self) -> str:
        token = word(40)
        self._tokens.add(token)
        return token

    def refuse(self, request: Request) -> Response | None:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if not secret or scheme.lower() not in {"key", "bearer"}:
            return refusals.invalid_key()
        if self._key is None or secret == self._key or secret in self._tokens:
            return None
        return refusals.invalid_key(
            "bearer: unable to decode issuer" if scheme.lower() == "bearer" else "invalid key credentials"
        )


class Gate:
    def __init__(self, keys: Keys, chaos: Chaos) -> None:
        self._keys = keys
        self._chaos = chaos

    async def admit(self, request: Request, handler: Handler, operation: Operation | None = None) -> Response:
        if refusal := self._keys.refuse(request):
            return refusal
        if fault := self._chaos.draw("account"):
            return await suffer(fault, handler)
        return await self.answer(handler, operation)

    async def answer(self, handler: Handler, operation: Operation | None = None) -> Response:
        """Handle a call that needs no key."""
        fault = operation and self._chaos.draw(operation)
        return await suffer(fault, handler) if fault else await handler()


async def suffer(fault: HttpFault, handler: Handler) -> Response:
    match fault.kind:
        case "slow":
            await asyncio.sleep(fault.seconds)
            return await handler()
        case "lost-answer":
            await handler()
            return NoAnswer()
        case "reset":
            return NoAnswer(reset=True)
        case "packed" | "huge" | "endless" as kind:
            return FLOODS[kind](await handler())
        case kind:
            return refusals.KINDS[kind]()
