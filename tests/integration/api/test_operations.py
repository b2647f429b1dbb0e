"""Liveness, readiness, metrics, and a documentation page that needs no internet."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.app import create_app
from service.cli.dev.child_processes import free_port
from service.cli.dev.embedded_redis import EmbeddedRedis
from service.config.settings import Settings
from service.domain.work_queue import WorkQueue
from service.runtime import Runtime
from service.store.redis.client import Redis
from tests.conftest import Scrape, client_of
from tests.support import factories
from tests.support.factories import create_body
from tests.support.redis_users import refusing
from tests.support.waiting import until


async def test_healthz_is_ok(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_readyz_is_ok(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.get("/readyz")

    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["checks"]) == (
        "ready",
        {"redis": "ok", "eviction": "ok", "memory": "ok", "clock": "ok"},
    )
    assert (body["dispatch"]["state"], body["dispatch"]["draining"]) == ("open", False)


@pytest.fixture
async def memory(redis: Redis) -> AsyncIterator[Redis]:
    """A Redis whose memory settings may be changed."""
    yield redis
    await redis.execute("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await redis.execute("CONFIG", "SET", "maxmemory", 0)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
async def test_readyz_redis_evicting_is_not_ready(anonymous: httpx.AsyncClient, memory: Redis, policy: str) -> None:
    await memory.execute("CONFIG", "SET", "maxmemory", 200_000_000)
    await memory.execute("CONFIG", "SET", "maxmemory-policy", policy)

    answer = await anonymous.get("/readyz")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["detail"] == "Failing checks: eviction. The log of the gateway has the reasons."
    assert "retry-after" in answer.headers


async def test_readyz_redis_limit_without_eviction_is_ready(anonymous: httpx.AsyncClient, memory: Redis) -> None:
    await memory.execute("CONFIG", "SET", "maxmemory", 200_000_000)

    assert (await anonymous.get("/readyz")).status_code == 200


async def test_readyz_redis_read_only_is_not_ready(
    anonymous: httpx.AsyncClient, api: httpx.AsyncClient, redis: Redis
) -> None:
    """A full memory is a different case: see test_redis_full."""
    await redis.execute("CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        ready = await anonymous.get("/readyz")
        created = await api.post("/v1/generations", json=create_body())
    finally:
        await redis.execute("CONFIG", "SET", "min-replicas-to-write", 0)

    assert ready.status_code == created.status_code == 503
    assert created.json()["code"] == "store_unavailable"
    assert (await anonymous.get("/readyz")).status_code == 200
    assert (await api.post("/v1/generations", json=create_body())).status_code == 202


async def test_readyz_and_metrics_answer_without_permission(
    anonymous: httpx.AsyncClient, redis_server: EmbeddedRedis, scrape: Scrape
) -> None:
    """A user without the permission; a cluster node that does not own the slot."""
    with refusing(redis_server.url, "info"):
        answer = await anonymous.get("/readyz")
        metrics = await scrape()

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert "NoPermission" not in answer.text
    assert "gateway_redis_up" in metrics


async def is_ok(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz/process")).status_code == 200


async def test_process_is_ready_after_its_first_contact_with_redis(tmp_path: Path) -> None:
    """Also while Redis is unavailable: see test_redis_unavailable."""
    own = EmbeddedRedis(tmp_path)
    own.port = free_port()
    app = create_app(factories.settings(own.url))
    try:
        async with app.router.lifespan_context(app), client_of(app) as client:
            before = await client.get("/readyz/process")
            await asyncio.to_thread(own.restart)
            await until(partial(is_ok, client))
            app.state.runtime.operations.readiness._clock.wrong = True
            wrong = await client.get("/readyz/process")
    finally:
        own.end()

    for refused in (before, wrong):
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert "retry-after" in refused.headers


# --- metrics ----------------------------------------------------------------------------------------------------------


async def samples(scrape: Scrape) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(await scrape())
        for sample in family.samples
    }


async def test_metrics_state_is_read_from_redis(scrape: Scrape, runtime: Runtime) -> None:
    """The generations were created by another process than the one that serves the metrics."""
    now = datetime.now(UTC)
    for age in (0, 60):
        g = factories.generation(created_at=now - timedelta(seconds=age))
        await runtime.stores.generations.create(g, factories.due(g.created_at))
    await runtime.stores.queue.claim(now=now - timedelta(seconds=30), most=1, lease=timedelta(hours=1), slots=5)

    found = await samples(scrape)

    assert found["gateway_due_entries", (("work_queue", "dispatch"),)] == 1, "the other is claimed"
    assert found["gateway_due_entries", (("work_queue", "sweep"),)] == 2
    assert found["gateway_due_entries", (("work_queue", "poll"),)] == 0
    assert found["gateway_slots_used", ()] == 1
    assert found["gateway_slots_allowed", ()] == 40
    assert 0 <= found["gateway_overdue_seconds", (("work_queue", "dispatch"),)] < 30
    assert {labels[0][1] for name, labels in found if name == "gateway_due_entries"} == set(WorkQueue)


async def test_metrics_work_queue_lag_is_of_oldest_entry(scrape: Scrape, runtime: Runtime) -> None:
    g = factories.generation()
    await runtime.stores.generations.create(g, factories.due(datetime.now(UTC) - timedelta(seconds=100)))

    found = await samples(scrape)

    assert found["gateway_overdue_seconds", (("work_queue", "dispatch"),)] == pytest.approx(100, abs=5)
    assert found["gateway_overdue_seconds", (("work_queue", "sweep"),)] == 0, "due in a day"


async def test_metrics_requests_are_labelled_by_route(api: httpx.AsyncClient, scrape: Scrape) -> None:
    for name in ("one", "two"):
        await api.get(f"/v1/generations/{name}")
    await api.get("/hidden/place")
    await api.request("BREW", "/v1/generations")

    found = await samples(scrape)

    labels = (("method", "GET"), ("route", "/v1/generations/{generation_id}"), ("status", "404"))
    assert found["gateway_http_request_seconds_count", labels] >= 2
    routes = {dict(labels)["route"] for name, labels in found if name == "gateway_http_request_seconds_count"}
    assert "unmatched" in routes
    assert not {route for route in routes if "hidden" in route or "/one" in route}
    methods = {dict(labels)["method"] for name, labels in found if name == "gateway_http_request_seconds_count"}
    assert "BREW" not in methods


async def test_metrics_labels_have_no_end_user_or_generation(api: httpx.AsyncClient, scrape: Scrape) -> None:
    created = (await api.post("/v1/generations", json=create_body(end_user_id="customer-7"))).json()

    text = await scrape()

    assert "customer-7" not in text
    assert created["id"] not in text
    assert factories.PROMPT not in text


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_metrics_on_tenants_port_is_404(
    api: httpx.AsyncClient, operator: httpx.AsyncClient, anonymous: httpx.AsyncClient, method: str
) -> None:
    for client in (api, operator, anonymous):
        for path in ("/metrics", "/metrics/", "/v1/metrics", "/fal/metrics"):
            assert (await client.request(method, path)).status_code == 404, path


async def test_metrics_port_serves_metrics_and_nothing_else(settings: Settings) -> None:
    own_port = settings.model_copy(update={"metrics_port": free_port()})
    url = f"http://127.0.0.1:{own_port.metrics_port}"
    app = create_app(own_port)
    async with app.router.lifespan_context(app), httpx.AsyncClient(base_url=url, trust_env=False) as prometheus:
        found = await prometheus.get("/metrics")
        assert "gateway_slots_used 0.0" in found.text
        assert found.headers["content-type"].startswith("text/plain; version=")
        assert {(await prometheus.get(path)).status_code for path in ("/", "/v1/generations", "/docs")} == {404}
        with pytest.raises(OSError, match=f"GATEWAY_METRICS_PORT {own_port.metrics_port} on 127.0.0.1"):
            async with create_app(own_port).router.lifespan_context(app):
                pass
    with pytest.raises(httpx.ConnectError):
        async with httpx.AsyncClient(trust_env=False) as prometheus:
            await prometheus.get(f"{url}/metrics")


# --- documentation ----------------------------------------------------------------------------------------------------


class Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


async def test_documentation_page_needs_no_internet(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")

    assert page.status_code == 200
    assert re.findall(r"https?://[^\s\"'<]+", page.text) == []
    links = Links(page.text).found
    assert len(links) >= 3
    for link in links:
        asset = await anonymous.get(link)
        assert asset.status_code == 200, link
        assert len(asset.content) > 100


async def test_documentation_page_loads_openapi_document(anonymous: httpx.AsyncClient) -> None:
    page, document = await anonymous.get("/docs"), await anonymous.get("/openapi.json")

    assert "/openapi.json" in page.text
    assert document.json()["info"]["title"] == "Seedance Gateway"
    assert "/v1/generations" in document.json()["paths"]


async def test_documentation_pages_are_markdown(anonymous: httpx.AsyncClient) -> None:
    index = await anonymous.get("/llms.txt")

    assert index.headers["content-type"] == "text/plain; charset=utf-8"
    links = re.findall(r"\]\((/docs/[^)]+)\)", index.text)
    assert len(links) > 20
    for link in links:
        page = await anonymous.get(link)
        assert page.status_code == 200, link
        assert page.headers["content-type"] == "text/markdown; charset=utf-8"
        assert re.search(r"^# ", page.text, re.MULTILINE), link


async def test_documentation_pictures_are_served_and_small(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs/how-to/console.md")

    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", page.text)
    assert len(pictures) > 3
    for picture in pictures:
        answer = await anonymous.get(urljoin("/docs/how-to/console.md", picture))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), picture
        assert len(answer.content) <= 60_000, picture


async def test_documentation_links_lead_to_pages(anonymous: httpx.AsyncClient) -> None:
    runbook = await anonymous.get("/docs/runbook.md")

    for link in re.findall(r"\]\(([^)#]+\.md)", runbook.text):
        assert (await anonymous.get(urljoin("/docs/runbook.md", link))).status_code == 200, link


@pytest.mark.parametrize(
    "path",
    [
        "/docs/assets/../../../settings.py",
        "/docs/assets/%2e%2e/%2e%2e/__init__.py",
        "/docs/../README.md",
        "/docs/%2e%2e/README.md",
        "/docs/how-to/%2e%2e/glossary.md",
        "/docs/how-to%2f..%2fglossary.md",
        "/docs//glossary.md",
        "/docs/llms.txt",
        "/docs/how-to",
        "/docs/",
        "/redoc",
    ],
)
async def test_documentation_serves_no_other_file(anonymous: httpx.AsyncClient, path: str) -> None:
    assert (await anonymous.get(f"http://gateway.test{path}")).status_code == 404


async def test_openapi_references_resolve(anonymous: httpx.AsyncClient) -> None:
    document = (await anonymous.get("/openapi.json")).json()

    for reference in set(re.findall(r"'\$ref': '#/([^']+)'", str(document))):
        found = document
        for part in reference.split("/"):
            assert part in found, reference
            found = found[part]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
async def test_head_of_public_route_is_200(anonymous: httpx.AsyncClient, path: str) -> None:
    assert (await anonymous.head(path)).status_code == 200


async def test_root_redirects_to_documentation(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get("/")).json()["docs"] == "/docs"

    redirect = await anonymous.get("/", headers={"accept": "text/html,*/*"})

    assert (redirect.status_code, redirect.headers["location"]) == (307, "/docs")
