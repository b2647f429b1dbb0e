"""Webhooks to the submitter of a job: signed, retried, with the faults that the prompt requests."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import aiohttp

from sandbox.chaos import Chaos, WebhookFault
from sandbox.faults import Behaviour
from sandbox.ids import request_id
from sandbox.job import Job
from sandbox.settings import Settings
from sandbox.signing import Signer

#: Seconds on fal's clock before each further attempt: six minutes in all, the shortest that fal's documents promise.
RETRIES = (1, 2, 4, 8, 15, 30, 60, 60, 60, 60, 60)
FIRST_TIMEOUT, LATER_TIMEOUT = 15, 120
PAYLOAD_ERROR = "The output could not be serialized, fetch the result instead"


class Webhooks:
    def __init__(self, settings: Settings, signer: Signer, chaos: Chaos) -> None:
        self._settings = settings
        self._signer = signer
        self._unpublished = Signer.unpublished()
        self._chaos = chaos
        self._deliveries: set[asyncio.Task[None]] = set()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=512))

    async def close(self) -> None:
        self.forget()
        await self._session.close()

    def forget(self) -> None:
        for delivery in self._deliveries:
            delivery.cancel()

    def announce(self, job: Job) -> None:
        if not job.webhook_url:
            return
        fault = self._chaos.draw_webhook()
        behaviour = _with_fault(job.behaviour, fault) if fault else job.behaviour
        body = json.dumps(message(job, payload_lost=behaviour.webhook_null), separators=(",", ":")).encode()
        for _ in range(behaviour.webhook_copies):
            delivery = asyncio.create_task(self._deliver(job, body, behaviour))
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._deliveries.discard)

    async def _deliver(self, job: Job, body: bytes, behaviour: Behaviour) -> None:
        signer = self._unpublished if behaviour.webhook_forged else self._signer
        timeout = FIRST_TIMEOUT
        for wait in (0, *RETRIES):
            await asyncio.sleep(self._settings.scaled(wait) if wait else behaviour.webhook_delay)
            if await self._settled(job, body, signer, timeout):
                return
            timeout = LATER_TIMEOUT

    async def _settled(self, job: Job, body: bytes, signer: Signer, timeout: float) -> bool:
        """Any 2xx acknowledges the webhook. A redirect is not followed and ends the attempts."""
        headers = {"content-type": "application/json", **signer.headers(job.request_id, int(time.time()), body)}
        try:
            async with self._session.post(
                str(job.webhook_url),
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as answer:
                return 200 <= answer.status < 400
        except aiohttp.InvalidURL:
            return True
        except (aiohttp.ClientError, OSError):
            return False


def message(job: Job, *, payload_lost: bool = False) -> dict[str, Any]:
    outcome = job.outcome
    if outcome is None:
        raise ValueError("not completed yet")
    ids = {"request_id": job.request_id, "gateway_request_id": _gateway_request_id(job)}
    state: dict[str, Any] = {"status": "OK"} if outcome.ok else {"status": "ERROR", "error": _error(outcome.code)}
    if payload_lost or outcome.code == 404:
        return {**ids, **state, "payload": None, "payload_error": PAYLOAD_ERROR}
    return {**ids, **state, "payload": outcome.body}


def _gateway_request_id(job: Job) -> str:
    """Return the request id, or another id if the platform tried more than once."""
    return job.request_id if job.attempts <= 1 else request_id()


def _error(code: int) -> str:
    return f"Invalid status code: {code}"


def _with_fault(behaviour: Behaviour, fault: WebhookFault) -> Behaviour:
    match fault.kind:
        case "lost":
            return replace(behaviour, webhook_copies=0)
        case "double":
            return replace(behaviour, webhook_copies=2)
        case "late":
            return replace(behaviour, webhook_delay=fault.seconds)
        case "forged":
            return replace(behaviour, webhook_forged=True)
        case "null-payload":
            return replace(behaviour, webhook_null=True)
