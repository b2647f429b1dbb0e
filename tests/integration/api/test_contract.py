"""The OpenAPI document is a contract: generated calls, valid and invalid, get the responses that it describes.

The gateway is a real server with a real Redis, and the sandbox in fal's place. It is shutting down, so that no call
waits: long polls return at once, event streams end after the last available event.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import redis as redis_py
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import (
    ChecksConfig,
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.schemas import BaseSchema
from schemathesis.transport.requests import ManagedCookiesSession

from service import gc_tuning
from service.api.openapi.export import document
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.domain.generation import Generation
from service.domain.tenant import Tenant
from service.domain.webhook import ENDS
from service.usecases.webhooks.endpoints import EndpointSpec
from tests.support import factories
from tests.support.factories import ADMIN_TOKEN
from tests.support.served import Served, served

pytestmark = pytest.mark.slow
MODEL = "bytedance/seedance-2.0/image-to-video"
CUSTOMER = "customer-7"
_ENDPOINT = EndpointSpec("http://127.0.0.1:9000/hook", ENDS, "", None, ed25519=False, enabled=True)
SEED = 7
EXAMPLES = 5
#: Much longer than any response takes here.
SECONDS = 10

#: Statuses of a call that matches the schema. Beyond the usual: 400, 415 and 422 for what no schema can state (an
#: address that is forbidden, a cursor of another origin, members that exclude each other), 402 and 413 for limits
#: that are exceeded, 499 and 504 for the end of a request below ``/fal``.
TAKEN = ["2xx", "3xx", "400", "401", "402", "403", "404", "409", "412", "413", "415", "422", "429", "499", "504"]

#: Statuses of a call that does not match the schema; 413: a list of many items is also a body that is too large.
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]

CONFIG = SchemathesisConfig(
    seed=SEED,
    projects=ProjectsConfig(
        default=ProjectConfig(
            phases=PhasesConfig(coverage=CoveragePhaseConfig(enabled=True)),
            generation=GenerationConfig(max_examples=EXAMPLES, deterministic=True),
            request_timeout=SECONDS,
            checks=ChecksConfig.from_dict(
                {
                    "positive_data_acceptance": {"expected-statuses": TAKEN},
                    "negative_data_rejection": {"expected-statuses": REFUSED},
                }
            ),
        )
    ),
)
#: A stream is text in the document, because generators know no events; schemathesis compares each event of a stream.
EVENT = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
    "required": ["data"],
}


def document_with_events() -> dict[str, Any]:
    found = document()
    for item in found["paths"].values():
        for operation in item.values():
            stream = operation["responses"].get("200", {}).get("content", {}).get("text/event-stream")
            if stream is not None:
                stream["schema"] = EVENT
                del stream["example"]
    return found


@pytest.fixture(scope="module")
def schema() -> BaseSchema:
    """Made by the test: its cases take ten seconds of CPU, which collection would spend in each worker of pytest."""
    made = schemathesis.openapi.from_dict(document_with_events(), config=CONFIG)
    made.auth(refresh_interval=None)(Keys)
    return made


#: An id of an end user may have slashes: `DELETE .../X/block` is a call about the end user `X/block`. So a method that
#: the path does not have is a 404 here, and `OPTIONS` names the methods of both routes.
OVERLAPPING = (
    "DELETE /admin/v1/tenants/{tenant_id}/end-users/{end_user_id}",
    "GET /admin/v1/tenants/{tenant_id}/end-users/{end_user_id}/erasure",
    "POST /admin/v1/tenants/{tenant_id}/end-users/{end_user_id}/block",
    "POST /admin/v1/tenants/{tenant_id}/end-users/{end_user_id}/unblock",
)
operations = schemathesis.pytest.from_fixture("schema").exclude(name=list(OVERLAPPING))


@dataclass(frozen=True)
class World:
    """The objects that exist."""

    gateway: Served
    names: dict[str, list[str]]
    turn: Iterator[int]

    def place(self, case: schemathesis.Case[Any]) -> None:
        """Two of three calls use the id of an existing object: invented ids would get nothing but 404."""
        for name, there in self.names.items():
            if name in case.path_parameters and (turn := next(self.turn)) % 3:
                case.path_parameters[name] = there[turn % len(there)]


class Keys:
    """Sends the credentials of the operation's security scheme; authentication checks repeat the call without them."""

    tenants: ClassVar[str] = ""

    def get(self, case: schemathesis.Case[Any], _: schemathesis.AuthContext) -> str:
        ways = case.operation.definition.raw["security"]
        match next(iter(ways[0])) if ways else "":
            case "apiKey":
                return f"Bearer {self.tenants}"
            case "falKey":
                return f"Key {self.tenants}"
            case "adminToken":
                return f"Bearer {ADMIN_TOKEN}"
        return ""

    def set(self, case: schemathesis.Case[Any], data: str, _: schemathesis.AuthContext) -> None:
        if data:
            case.headers["Authorization"] = data


@pytest.fixture(scope="module")
def gateway(redis_server: EmbeddedRedis, sandbox_server: str) -> Iterator[Served]:
    from service import app as module

    with redis_py.Redis.from_url(redis_server.url) as client:
        client.flushall()
    own = factories.sandbox_settings(
        redis_server.url, sandbox_server, public_url="https://gateway.example", max_body_bytes=20_000
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc_tuning, "freeze", lambda: None)
        with served(module.create_app(own)) as running:
            running.runtime.generations.reader.stop_waiting()
            yield running


@pytest.fixture(scope="module")
def session() -> Iterator[ManagedCookiesSession]:
    """Keep connections. For each call schemathesis would open a session, and search the environment for proxies."""
    with ManagedCookiesSession() as opened:
        opened.trust_env = False
        yield opened


@dataclass
class Worlds:
    """New objects for each operation: some operations delete them, or pause the whole gateway."""

    gateway: Served
    operation: str = ""
    made: World | None = None

    def of(self, operation: str) -> World:
        if self.made is None or self.operation != operation:
            self.operation, self.made = operation, self.gateway.run(_made(self.gateway))
        return self.made


@pytest.fixture(scope="module")
def worlds(gateway: Served) -> Worlds:
    return Worlds(gateway)


async def _made(gateway: Served) -> World:
    runtime = gateway.runtime
    await runtime.operations.gate.resume()
    caller, other = [await runtime.tenants.service.create(name) for name in ("acme", "other")]
    Keys.tenants = (await runtime.tenants.api_keys.create(caller.id)).text
    spare = await runtime.tenants.api_keys.create(other.id)
    generations = [await _generation(gateway, caller, end) for end in ("queued", "canceled", "succeeded")]
    endpoint = await runtime.webhooks.endpoints.create(caller, _ENDPOINT)
    delivery = await runtime.webhooks.endpoints.test(caller, endpoint.id)
    ids = [g.id for g in generations]
    names = {
        "generation_id": ids,
        "request_id": ids,
        "endpoint": [MODEL, MODEL, "bytedance/seedance-2.0"],
        "end_user_id": [CUSTOMER],
        "pseudonym": [generations[0].end_user],
        "endpoint_id": [endpoint.id, "default"],
        "delivery_id": [delivery.id],
        "tenant_id": [other.id],
        "key_id": [spare.key.id],
    }
    return World(gateway, names, itertools.count())


async def _generation(gateway: Served, tenant: Tenant, end: str) -> Generation:
    runtime = gateway.runtime
    wanted = factories.create_request(end_user_id=CUSTOMER)
    g = (await runtime.generations.creator.create(tenant, wanted)).generation
    now = g.created_at + timedelta(seconds=1)
    if end == "canceled":
        return await runtime.generations.canceller.cancel(tenant, g.id)
    if end == "succeeded":
        for move in (
            lambda g: g.submitting(now),
            lambda g: g.submitted(factories.request_id()),
            lambda g: g.started(now),
            lambda g: g.succeeded(factories.output(), g.estimated_cost, now),
        ):
            await runtime.transitions.apply(g.id, move)
    return g


@pytest.fixture(autouse=True)
def _named_as_before(request: pytest.FixtureRequest) -> None:
    """Schemathesis 4.32 reads the name of the test from an attribute that pytest 9.2 does not have."""
    request.node._nodeid = request.node.nodeid


@operations.parametrize()
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_responses_match_openapi_document(
    case: schemathesis.Case[Any], worlds: Worlds, session: ManagedCookiesSession
) -> None:
    """Each operation is a subtest."""
    world = worlds.of(case.operation.label)
    world.place(case)
    case.call_and_validate(base_url=world.gateway.url, session=session, timeout=SECONDS)
