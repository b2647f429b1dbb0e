"""A steady load at a fixed rate, over HTTP only, and the calls that its operations consist of."""

import asyncio
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

REMOTE_IMAGE: Final = "https://v3b.fal.media/a.jpg"
_END_USERS: Final = 20
#: Generations that reads, cancels and streams choose from.
_RECENT: Final = 50
CALL_SECONDS: Final = 60.0
#: Outcomes at fal, each with the share of creates that have it.
_OUTCOMES: Final = {"": 85, " sandbox:policy": 5, " sandbox:error-500": 5, " sandbox:lost-webhook": 5}
_REFUSALS: Final = frozenset({429, 503})


@dataclass(frozen=True)
class Owner:
    """A tenant and its API key."""

    id: str
    key: str


@dataclass
class Load:
    """``accepted``: prompts by generation id. ``unexpected``: responses that no operation of the load should get."""

    base_url: str
    admin_token: str
    webhook_url: str
    dead_webhook_url: str
    """A receiver that answers every attempt with 500."""
    rng: random.Random
    owners: list[Owner] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)
    announced: set[str] = field(default_factory=set)
    """Ids whose end the live receiver must have got."""
    done: Counter[str] = field(default_factory=Counter)
    """Finished operations by name."""
    refused: Counter[str] = field(default_factory=Counter)
    """Calls that were refused or had no response in time, by operation: a busy machine, not a fault."""
    unexpected: list[str] = field(default_factory=list)
    recent: deque[tuple[Owner, str]] = field(default_factory=lambda: deque(maxlen=_RECENT))
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self, operations: "Operations", *, seconds: float, rate: float) -> None:
        """Begin ``rate`` operations a second, whether or not the ones before have ended."""
        weights = [weight for _, weight in operations.values()]
        began, open_calls = time.monotonic(), set[asyncio.Task[None]]()
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        async with aiohttp.ClientSession(self.base_url, timeout=timeout, trust_env=False) as session:
            for number in range(round(seconds * rate)):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                (name,) = self.rng.choices(list(operations), weights)
                operation, _ = operations[name]
                call = asyncio.create_task(self._carry_out(name, operation, Calls(self, session)))
                open_calls.add(call)
                call.add_done_callback(open_calls.discard)
            await asyncio.gather(*open_calls)

    async def open_tenants(self, count: int) -> None:
        async with aiohttp.ClientSession(self.base_url, trust_env=False) as session:
            calls = Calls(self, session)
            self.owners += [await calls.new_tenant() for _ in range(count)]

    async def _carry_out(self, name: str, operation: "Operation", calls: "Calls") -> None:
        try:
            await operation(calls)
            self.done[name] += 1
        except Refused:
            self.refused[name] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            self.refused[f"{name}: {type(error).__name__}"] += 1
        except Unexpected as error:
            self.unexpected.append(f"{name}: {error}")


class Refused(Exception):
    """429 or 503."""


class Unexpected(Exception):
    """Any other response than the expected ones."""


@dataclass(frozen=True)
class Calls:
    """The calls of one operation."""

    load: Load
    session: aiohttp.ClientSession

    async def send(
        self, method: str, path: str, *expected: int, key: str | None = None, scheme: str = "Bearer", **options: Any
    ) -> Any:
        """Return the JSON of the response, None without one. ``key`` None: as the operator."""
        headers = {"authorization": f"{scheme} {key or self.load.admin_token}", **options.pop("headers", {})}
        async with self.session.request(method, path, headers=headers, **options) as answer:
            body = await answer.read()
            if answer.status in _REFUSALS and answer.status not in expected:
                raise Refused
            if answer.status not in (expected or (200,)):
                raise Unexpected(f"{method} {path}: {answer.status} {body[:200]!r}")
            return await answer.json() if answer.content_type.endswith("json") and body else None

    async def new_tenant(self) -> Owner:
        number = next(self.load.numbers)
        tenant = await self.send("POST", "/admin/v1/tenants", 201, json={"name": f"tenant {number}"})
        key = await self.send("POST", f"/admin/v1/tenants/{tenant['id']}/keys", 201, json={})
        return Owner(tenant["id"], key["key"])

    def owner(self) -> Owner:
        return self.load.rng.choice(self.load.owners)

    def any_recent(self) -> tuple[Owner, str]:
        if not self.load.recent:
            raise Refused
        return self.load.rng.choice(self.load.recent)

    def prompt(self) -> str:
        rng = self.load.rng
        (outcome,) = rng.choices(list(_OUTCOMES), list(_OUTCOMES.values()))
        return f"sandbox:no-video sandbox:seconds={rng.uniform(0.2, 3):.2f}{outcome} job {next(self.load.numbers)}"

    async def create(self, owner: Owner, *, image_url: str = REMOTE_IMAGE, idempotency_key: str | None = None) -> str:
        rng, prompt = self.load.rng, self.prompt()
        dead = rng.random() < 0.05
        body: dict[str, Any] = {"prompt": prompt, "image_url": image_url, "resolution": "480p"}
        body |= {"duration": rng.choice((4, 5, 8)), "end_user_id": f"customer {rng.randrange(_END_USERS)}"}
        body["webhook_url"] = self.load.dead_webhook_url if dead else self.load.webhook_url
        headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}
        answer = await self.send("POST", "/v1/generations", 202, key=owner.key, json=body, headers=headers)
        name = str(answer["id"])
        self.load.accepted[name] = prompt
        if idempotency_key is not None:
            again = await self.send("POST", "/v1/generations", 202, key=owner.key, json=body, headers=headers)
            if again["id"] != name:
                raise Unexpected(f"{idempotency_key} created {name} and {again['id']}")
        self.load.recent.append((owner, name))
        if not dead:
            self.load.announced.add(name)
        return name


Operation = Callable[[Calls], Awaitable[None]]

Operations = Mapping[str, tuple[Operation, int]]
"""Operations by name, each with its weight."""
