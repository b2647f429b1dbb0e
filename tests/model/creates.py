"""The creates of the model: the call of the store that accepts a generation."""

from functools import cache
from typing import Final

from service.domain import ids
from service.domain.budgets import Budgets
from service.domain.generation import Due, Generation, idempotency_digest
from tests.model.ports import MODEL, Call
from tests.model.processes import RATES
from tests.model.times import TICK, moment

PROMPT: Final = "a cat drinks coffee"
TENANT: Final = f"{ids.TENANT}_{'0' * 26}"
END_USER: Final = "eu_1"
ESTIMATE: Final = RATES.estimate("720p", "5")


@cache
def create_call(name: str, now: int, budget: int | None) -> Call:
    """Return the create of a generation at a tick; the same object for the same create. ``budget``: of the tenant."""
    g = Generation(
        id=name,
        tenant_id=TENANT,
        model=MODEL,
        input={"prompt": PROMPT, "resolution": "720p", "duration": "5"},
        fingerprint="fingerprint",
        estimated_cost=ESTIMATE,
        callback_token="token",
        created_at=moment(now),
        expires_at=moment(now) + 4 * TICK,
        end_user_id="customer-7",
        end_user=END_USER,
        webhook_url="https://receiver.invalid/",
        idempotency_digest=idempotency_digest(name),
    )
    due = Due(dispatch=g.created_at, sweep=g.expires_at)
    return Call("generations.create", (g, due), {"budgets": Budgets(tenant_month=budget)})
