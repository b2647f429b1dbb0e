"""``kill -9``: whoever dies, an accepted generation ends, is paid for once, and is told of."""

from service.cli.dev.stack import Stack
from service.usecases.lifecycle.leases import LEASE
from tests.e2e.conftest import TenantClient
from tests.support.receiver import Receiver

#: A worker that dies while it polls leaves a generation that no other worker polls before its lease ends.
LONGEST = LEASE.total_seconds() + 30


def test_the_worker_dies_while_fal_works(own_stack: Stack, own_tenant: TenantClient, receiver: Receiver) -> None:
    prompt = "sandbox:no-video sandbox:seconds=8 killed in progress"
    g = own_tenant.create(prompt, webhook_url=receiver.url)
    own_tenant.wait_for(g["id"], lambda now: now["status"] == "in_progress")
    own_stack.children["worker"].kill()
    own_stack.start_worker()
    assert own_tenant.ended(g["id"], within=LONGEST)["status"] == "succeeded"
    assert len(own_tenant.submits(prompt)) == 1
    came = receiver.wait_for(lambda now: len(now) >= 1)
    assert {event.verified(own_stack.webhook_secret)["data"]["id"] for event in came} == {g["id"]}


def test_redis_dies_right_after_the_202(own_stack: Stack, own_tenant: TenantClient, receiver: Receiver) -> None:
    prompt = "sandbox:no-video sandbox:seconds=0.1 redis killed"
    g = own_tenant.create(prompt, webhook_url=receiver.url)
    own_stack.redis.kill()
    away = own_tenant.http.get(f"/v1/generations/{g['id']}")
    assert (away.status_code, away.headers["retry-after"], away.json()["code"]) == (503, "2", "store_unavailable")
    own_stack.redis.restart()
    assert own_tenant.ended(g["id"])["status"] == "succeeded"
    assert len(own_tenant.submits(prompt)) == 1
    receiver.wait_for(lambda now: len(now) >= 1)


def test_twenty_jobs_survive_every_process_dying_once(
    own_stack: Stack, own_tenant: TenantClient, receiver: Receiver
) -> None:
    prompts = [f"sandbox:no-video sandbox:seconds=8 survivor {n}" for n in range(20)]
    ids = [own_tenant.create(prompt, webhook_url=receiver.url)["id"] for prompt in prompts]
    own_tenant.wait_for(ids[0], lambda now: now["status"] == "in_progress")
    for victim in ("worker", "beat", "gateway"):
        own_stack.children[victim].kill()
    own_stack.redis.kill()
    own_stack.redis.restart()
    own_stack.start_gateway()
    own_stack.start_worker()
    own_stack.start_beat()
    known = [name for name in ids if not _was_cut_off(own_tenant, name)]
    assert {own_tenant.ended(name, within=LONGEST)["status"] for name in known} == {"succeeded"}
    assert all(len(own_tenant.submits(prompt)) <= 1 for prompt in prompts)
    receiver.wait_for(lambda came: {e.verified(own_stack.webhook_secret)["data"]["id"] for e in came} >= {*known})


def _was_cut_off(tenant: TenantClient, name: str) -> bool:
    """Killed in the middle of its submit: it waits for confirmation, by design."""
    return tenant.read(name)["status"] in ("submitting", "unconfirmed")
