"""The example of the page about the console works."""

import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from service.domain.tenant import Tenant
from tests.support.console import Browser

PAGE = Path(__file__).parents[3] / "docs/how-to/console.md"


async def test_example_of_the_documentation_pauses_a_tenant(app: FastAPI, admin: Browser, tenant: Tenant) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102  (code of this repository)
    app.router.routes[0:0] = names["tenants"].routes
    path = f"/console/oncall/tenants/{tenant.id}/pause"
    assert "Its generations stay queued." in (await admin.get(path)).text

    answer = await admin.post(path, reason="too many errors")

    assert answer.headers["location"] == f"/console/oncall/tenants/{tenant.id}"
    found = await app.state.runtime.tenants.service.get(tenant.id)
    assert found.paused is not None
    assert found.paused.reason == "too many errors"
