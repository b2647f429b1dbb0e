"""The whole keyspace, in one place.

Every key starts with the hash tag ``{sg}``, so that scripts over several keys also run on a Redis Cluster.

key                                            type    lives          meaning
{sg}:generation:<id>                           hash    until purged   v version, s status, d record (JSON)
{sg}:tenant:<t>:generations                    zset    until purged   ids of a tenant's generations; score 0, ids sort
{sg}:tenant:<t>:end_user:<p>:generations       zset    until purged   the same, of one end user (by pseudonym)
{sg}:idempotency:<t>:<sha256 of the key>       string  until purged   "<generation id> <fingerprint>"
{sg}:due:<drain>                               zset    -              what waits for a drain; score = ms when due
{sg}:claimed                                   zset    -              being submitted; score = ms when its lease ends
{sg}:nudged:<drain>                            string  1 s            a "drain now" message is on its way
{sg}:slots                                     set     -              generations that take up an upstream slot
{sg}:delivery:<id>                             hash    retention      v version, d record (JSON)
{sg}:tenant:<t>                                string  -              the tenant (JSON, secrets sealed)
{sg}:tenant:<t>:keys                           zset    -              ids of its API keys
{sg}:tenants                                   zset    -              all tenant ids; score 0
{sg}:api_key:<id>                              string  -              the key's record (JSON, hashed secret)
{sg}:probe                                     string  10 s           written by readiness checks
{sg}:broker:*                                  -       -              Celery's, when it shares this Redis

channel {sg}:changes                                                  "<generation id>" after each move of it
"""

import hashlib
from typing import Final

from service.domain.drain import Drain

TAG: Final = "{sg}:"
SLOTS: Final = f"{TAG}slots"
CLAIMED: Final = f"{TAG}claimed"
TENANTS: Final = f"{TAG}tenants"
PROBE: Final = f"{TAG}probe"
CHANGES: Final = f"{TAG}changes"


def generation(generation_id: str) -> str:
    return f"{TAG}generation:{generation_id}"


def generations_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:generations"


def generations_of_end_user(tenant_id: str, end_user: str) -> str:
    return f"{TAG}tenant:{tenant_id}:end_user:{end_user}:generations"


def idempotency(tenant_id: str, key: str) -> str:
    # Hashed: the key is the caller's text, of the caller's length.
    return f"{TAG}idempotency:{tenant_id}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def due(drain: Drain) -> str:
    return f"{TAG}due:{drain}"


def nudged(drain: Drain) -> str:
    return f"{TAG}nudged:{drain}"


def delivery(delivery_id: str) -> str:
    return f"{TAG}delivery:{delivery_id}"


def tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}"


def api_keys_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:keys"


def api_key(key_id: str) -> str:
    return f"{TAG}api_key:{key_id}"
