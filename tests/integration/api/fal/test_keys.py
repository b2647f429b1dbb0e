"""Keys in fal's form ``<id>:<secret>``, which the ``fal`` package requires."""

import httpx
import pytest
from fastapi import FastAPI

from service.domain.tenant import Tenant
from service.observability import log
from service.runtime import Runtime
from tests.conftest import client_of
from tests.integration.api.fal.conftest import MODEL, as_fal, request_path, submit, submitted


def forms(key_id: str, text: str) -> list[str]:
    return [text, f"{key_id}:{text}", f"sgk_{key_id}:{text.removeprefix(f'sgk_{key_id}_')}"]


async def test_fal_key_form_works_below_fal_only(
    app: FastAPI, runtime: Runtime, tenant: Tenant, anonymous: httpx.AsyncClient
) -> None:
    new = await runtime.tenants.api_keys.create(tenant.id)
    for form in forms(new.key.id, new.text):
        async with as_fal(client_of(app, form)) as client:
            name = await submitted(client)
            target = request_path(name).replace("/fal/queue", "https://queue.fal.run", 1)
            headers = {"x-fal-target-url": f"{target}/status"}
            assert (await client.get(f"{request_path(name)}/status")).status_code == 202
            assert (await client.get("/fal/proxy", headers=headers)).status_code == 202
            stream = client.stream("GET", f"{request_path(name)}/status/stream")
            assert (await client.put(f"{request_path(name)}/cancel")).status_code == 202
            async with stream as events:
                assert events.status_code == 200
        native = await anonymous.get("/v1/generations", headers={"authorization": f"Bearer {form}"})
        assert native.status_code == (401 if ":" in form else 200)
    await runtime.tenants.api_keys.revoke(tenant.id, new.key.id)
    app.state.runtime.tenants.authenticator.forget()
    for form in forms(new.key.id, new.text):
        async with as_fal(client_of(app, form)) as client:
            assert (await submit(client)).status_code == 401


@pytest.mark.parametrize(
    "form", ["{other}:{key}", "x:{key}", "{id}:{key}x", "{id}:", ":{key}", "{id}:sgk_{id}_", "{key}:"]
)
async def test_fal_key_form_with_other_parts_is_refused(
    app: FastAPI, runtime: Runtime, tenant: Tenant, form: str
) -> None:
    new = await runtime.tenants.api_keys.create(tenant.id)
    other = await runtime.tenants.api_keys.create(tenant.id)
    key = form.format(id=new.key.id, other=other.key.id, key=new.text)
    async with as_fal(client_of(app, key)) as client:
        answer = await client.post(f"/fal/queue/{MODEL}", json={})
    assert (answer.status_code, answer.json()["error_type"]) == (401, "unauthenticated")


async def test_fal_key_form_is_not_logged(runtime: Runtime, tenant: Tenant, capfd: pytest.CaptureFixture[str]) -> None:
    new = await runtime.tenants.api_keys.create(tenant.id)
    for form in forms(new.key.id, new.text)[1:]:
        log.get(__name__).warning("test_event", error=f"refused: Key {form} is unknown")
    printed = capfd.readouterr().err
    assert "test_event" in printed
    assert new.text[20:] not in printed
