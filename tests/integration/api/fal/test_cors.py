"""Only pages of the origins in the settings may call the fal routes."""

import httpx
import pytest

from service.config.settings import Settings
from tests.integration.api.fal.conftest import PUBLIC, submit
from tests.support import factories

PAGE = "https://app.example"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-fal-target-url,x-evil,cookie",
}


def cors(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


class TestAllowed:
    @pytest.fixture
    def settings(self, redis_url: str) -> Settings:
        return factories.settings(redis_url, public_url=PUBLIC, cors_origins=(PAGE,))

    async def test_cors_preflight_needs_no_key(self, anonymous: httpx.AsyncClient) -> None:
        answer = await anonymous.options("/fal/proxy", headers=PREFLIGHT)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["access-control-allow-headers"] == "authorization, content-type, x-fal-target-url"
        assert {"GET", "POST", "PUT"} <= set(answer.headers["access-control-allow-methods"].split(", "))
        assert "access-control-allow-credentials" not in answer.headers

    async def test_cors_responses_and_errors_are_readable(
        self, fal: httpx.AsyncClient, anonymous: httpx.AsyncClient
    ) -> None:
        for client, status in ((fal, 200), (anonymous, 401)):
            answer = await submit(client, headers={"origin": PAGE})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, PAGE)
            exposed = answer.headers["access-control-expose-headers"].split(", ")
            assert {"x-fal-request-id", "x-fal-request-timeout-type"} <= set(exposed)
            assert answer.headers["vary"] == "origin"

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{PAGE}.evil.example", ""])
    async def test_cors_other_origin_is_not_allowed(
        self, fal: httpx.AsyncClient, anonymous: httpx.AsyncClient, origin: str
    ) -> None:
        preflight = await anonymous.options("/fal/proxy", headers={**PREFLIGHT, "origin": origin})
        assert (preflight.status_code, cors(preflight)) == (401, {})
        assert cors(await submit(fal, headers={"origin": origin})) == {}

    async def test_cors_is_for_fal_routes_only(self, api: httpx.AsyncClient) -> None:
        assert cors(await api.get("/v1/generations", headers={"origin": PAGE})) == {}


async def test_cors_is_off_by_default(fal: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    preflight = await anonymous.options("/fal/proxy", headers=PREFLIGHT)
    assert (preflight.status_code, cors(preflight)) == (401, {})
    assert cors(await submit(fal, headers={"origin": PAGE})) == {}
