"""What acts of the audit trail act on: tenants, generations, endpoints, operators; with marked secrets in all of them.

Objects are made by use cases outside of an act, so that they leave no entries.
"""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from service.clock import Clock
from service.domain import end_user
from service.domain.bulk_request import NEW_BULK_JOB
from service.domain.generation import Generation
from service.domain.json_body import parse
from service.domain.operator import Role
from service.domain.tenant import Scope, Tenant
from service.domain.webhook import EventType
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.usecases.tenants.trusted_issuers import NewTrustedIssuer
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.support import factories, tokens
from tests.support.waiting import process_due

#: In each value that is a secret, or that belongs to a person.
MARK: Final = "m4rk3d"
PROMPT: Final = f"a rocket {MARK}"
END_USER: Final = f"ada.{MARK}@example.com"
HOOK: Final = f"http://127.0.0.1:9000/hook/{MARK}"
HEADERS: Final = {"x-token": f"token {MARK}"}
COST: Final = 700_000


class Scene:
    """Objects of one act. Each path parameter has a value when it is asked for."""

    def __init__(
        self, runtime: Runtime, clock: Clock, *, generation: str = "queued", tenant: Tenant | None = None
    ) -> None:
        """``generation``: what the generation of this scene is like, a key of ``_MOVES``."""
        self.runtime = runtime
        self.clock = clock
        self.found: dict[str, str] = {}
        self._generation = generation
        self._tenant = tenant

    async def tenant(self) -> Tenant:
        if self._tenant is None:
            self._tenant = await self.runtime.tenants.service.create("acme")
        return self._tenant

    @property
    def tenant_id(self) -> str | None:
        """The id of the scene's tenant, if it has one."""
        return None if self._tenant is None else self._tenant.id

    async def value(self, name: str) -> str:
        """Return the value of a path parameter."""
        if name not in self.found:
            self.found[name] = await _VALUES[name](self)
        return self.found[name]

    async def generation(self) -> Generation:
        request = factories.create_request(
            prompt=PROMPT, end_user_id=END_USER, metadata={"order": MARK}, resolution="480p", duration=5
        )
        g = (await self.runtime.generations.creator.create(await self.tenant(), request)).generation
        for move in _MOVES[self._generation]:
            moved = await self.runtime.transitions.apply(g.id, partial(move, now=self.clock()))
            assert moved is not None
            g = moved
        return g

    async def spec(self) -> EndpointSpec:
        return EndpointSpec(
            url=HOOK,
            events=(EventType("generation.succeeded"),),
            description="",
            headers=HEADERS,
            ed25519=False,
            enabled=True,
        )


async def _dead_delivery(scene: Scene) -> str:
    """Return a delivery that died with its endpoint; the endpoint is enabled again."""
    endpoints, tenant, endpoint_id = (
        scene.runtime.webhooks.endpoints,
        await scene.tenant(),
        await scene.value("endpoint_id"),
    )
    sent = await endpoints.test(tenant, endpoint_id)
    await endpoints.disable(tenant, endpoint_id)
    await process_due(scene.runtime, WorkQueue.DELIVER)
    await endpoints.enable(tenant, endpoint_id)
    return sent.id


async def _job(scene: Scene) -> str:
    """Return a job that the tenant has started, which operators can stop too."""
    tenant = await scene.tenant()
    body = {
        "kind": "replay",
        "filter": {"tenant_id": tenant.id},
        "reason": "a flood",
        "previewed_at": scene.clock().isoformat(),
        "expected": 1_000,
    }
    wanted = parse(NEW_BULK_JOB, json.dumps(body).encode())
    return (await scene.runtime.operations.bulk_jobs.start(wanted, factories.actor(tenant_id=tenant.id))).id


async def _issuer(scene: Scene) -> str:
    rule = NewTrustedIssuer(
        issuer=tokens.CLUSTER,
        audience=f"https://{(await scene.tenant()).id}.example",
        subject=tokens.SERVICE_ACCOUNT,
        jwks_url=None,
        jwks=tokens.trusted_issuer("ten_1").jwks,
        scopes=(Scope.READ,),
    )
    return (await scene.runtime.tenants.trusted_issuers.add((await scene.tenant()).id, rule)).id


async def _known_end_user(scene: Scene) -> str:
    await scene.generation()
    return END_USER


async def _erased(scene: Scene) -> None:
    await scene.runtime.tenants.end_users.erase(await scene.tenant(), await scene.value("end_user_id"))


async def _pseudonym(scene: Scene) -> str:
    return end_user.pseudonym(await scene.tenant(), await scene.value("end_user_id"))


async def _of(made: Awaitable[Any]) -> str:
    return str((await made).id)


async def _key(scene: Scene) -> str:
    return (await scene.runtime.tenants.api_keys.create((await scene.tenant()).id)).key.id


async def _token(scene: Scene) -> str:
    return (await scene.runtime.operators.service.create_token(await scene.value("operator_id")))[0].id


async def _tenant_id(scene: Scene) -> str:
    return (await scene.tenant()).id


async def _endpoint(scene: Scene) -> str:
    return (await scene.runtime.webhooks.endpoints.create(await scene.tenant(), await scene.spec())).id


_VALUES: Final[dict[str, Callable[[Scene], Awaitable[str]]]] = {
    "tenant_id": _tenant_id,
    "key_id": _key,
    "endpoint_id": _endpoint,
    "delivery_id": _dead_delivery,
    "generation_id": lambda scene: _of(scene.generation()),
    "end_user_id": _known_end_user,
    "pseudonym": _pseudonym,
    "operator_id": lambda scene: _of(scene.runtime.operators.service.create("Eve", Role.VIEWER)),
    "token_id": _token,
    "issuer_id": _issuer,
    "bulk_job_id": _job,
}


class Move(Protocol):
    def __call__(self, g: Generation, /, *, now: datetime) -> Generation: ...


def _submitting(g: Generation, /, *, now: datetime) -> Generation:
    return g.submitting(now)


def _unconfirmed(g: Generation, /, *, now: datetime) -> Generation:
    return g.unconfirmed()


def _submitted(g: Generation, /, *, now: datetime) -> Generation:
    return g.submitted(factories.request_id())


def _succeeded(g: Generation, /, *, now: datetime) -> Generation:
    return g.succeeded(factories.output(), COST, now)


_MOVES: Final[dict[str, tuple[Move, ...]]] = {
    "queued": (),
    "unconfirmed": (_submitting, _unconfirmed),
    "ended": (_submitting, _submitted, _succeeded),
}


async def before_erasure(scene: Scene) -> None:
    await _erased(scene)


async def given_up(scene: Scene) -> None:
    """Fail the unconfirmed generation, so that it can be revived."""
    await scene.runtime.operations.unconfirmed.dismiss(await scene.value("generation_id"), "not at fal")


def on_tenant(act: str, *arguments: str) -> Callable[[Scene], Awaitable[None]]:
    """Return a step that calls the use case of tenants named ``act``."""

    async def step(scene: Scene) -> None:
        await getattr(scene.runtime.tenants.service, act)(await scene.value("tenant_id"), *arguments)

    return step


async def with_disabled_endpoint(scene: Scene) -> None:
    await scene.runtime.webhooks.endpoints.disable(await scene.tenant(), await scene.value("endpoint_id"))


async def with_disabled_operator(scene: Scene) -> None:
    await scene.runtime.operators.service.disable(await scene.value("operator_id"))


async def with_blocked_end_user(scene: Scene) -> None:
    await scene.runtime.tenants.end_users.block(await scene.tenant(), await scene.value("end_user_id"), "spam")


async def with_pause(scene: Scene) -> None:
    await scene.runtime.operations.gate.pause("night")
