"""``kill -9`` of any process: an accepted generation ends, is submitted once, and its event is delivered."""

from service.cli.dev.stack import Stack
from service.usecases.lifecycle.leases import LEASE
from tests.e2e.conftest import TenantClient
from tests.support.receiver import Receiver

#: After a worker has died during a poll, no other worker polls the generation before the lease ends.
LONGEST = LEASE.total_seconds() + 30


def test_crash_of_worker_during_job_loses_nothing(
    own_stack: Stack, own_tenant: TenantClient, receiver: Receiver
) -> None:
    prompt = "sandbox:no-video sandbox:seconds=8 killed in progress"
    g = own_tenant.create(prompt, webhook_url=receiver.url)
    own_tenant.wait_for(g["id"], lambda now: now["status"] == "in_progress")
    own_stack.children["worker"].kill()
    own_stack.start_worker()
    assert own_tenant.ended(g["id"], within=LONGEST)["status"] == "succeeded"
    own_tenant.assert_history(receiver)


def test_crash_of_redis_after_202_loses_nothing(own_stack: Stack, own_tenant: TenantClient, receiver: Receiver) -> None:
    prompt = "sandbox:no-video sandbox:seconds=0.1 redis killed"
    g = own_tenant.create(prompt, webhook_url=receiver.url)
    own_stack.redis.kill()
    unavailable = own_tenant.http.get(f"/v1/generations/{g['id']}")
    assert (unavailable.status_code, unavailable.headers["retry-after"], unavailable.json()["code"]) == (
        503,
        "2",
        "store_unavailable",
    )
    own_stack.redis.restart()
    assert own_tenant.ended(g["id"])["status"] == "succeeded"
    own_tenant.assert_history(receiver)


def test_crash_of_every_process_loses_no_job(own_stack: Stack, own_tenant: TenantClient, receiver: Receiver) -> None:
    prompts = [f"sandbox:no-video sandbox:seconds=8 survives {n}" for n in range(20)]
    ids = [own_tenant.create(prompt, webhook_url=receiver.url)["id"] for prompt in prompts]
    own_tenant.wait_for(ids[0], lambda now: now["status"] == "in_progress")
    for victim in ("worker", "beat", "gateway"):
        own_stack.children[victim].kill()
    own_stack.redis.kill()
    own_stack.redis.restart()
    own_stack.start_gateway()
    own_stack.start_worker()
    own_stack.start_beat()
    confirmed = [name for name in ids if not _has_unknown_submit(own_tenant, name)]
    assert {own_tenant.ended(name, within=LONGEST)["status"] for name in confirmed} == {"succeeded"}
    own_tenant.assert_history(receiver)


def _has_unknown_submit(tenant: TenantClient, name: str) -> bool:
    """Return whether its worker was killed during its submit: then it waits for confirmation, by design."""
    return tenant.read(name)["status"] in ("submitting", "unconfirmed")
