"""Browsers with and without a session."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from service.domain.actor import ActorKind
from service.domain.console_session import Subject
from service.domain.tenant import Tenant
from tests.support.console import ADMIN, Browser, browser_of


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[Browser]:
    """Return a browser that is not logged in."""
    async with browser_of(app) as opened:
        yield opened


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[Browser]:
    """Return a browser with a session of the role admin."""
    async with browser_of(app, ADMIN) as opened:
        yield opened


@pytest.fixture
async def customer(app: FastAPI, tenant: Tenant) -> AsyncIterator[Browser]:
    """Return a browser with a session of a key of ``tenant`` with all scopes."""
    made = await app.state.runtime.tenants.api_keys.create(tenant.id, name="browser")
    async with browser_of(app, Subject(ActorKind.API_KEY, made.key.id)) as opened:
        yield opened
