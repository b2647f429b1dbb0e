"""The whole keyspace, in one place.

Every key starts with the hash tag ``{sg}``, so that scripts over several keys also run on a Redis Cluster.

key                                            type    lives          meaning
{sg}:generation:<id>                           hash    until purged   v version, s status, d record (JSON), c callback
                                                                      of fal's still to be judged (JSON), u: unread,
                                                                      r refused submits: "<first> <last> <counted>"
{sg}:tenant:<t>:generations                    zset    until purged   ids of a tenant's generations; score 0, ids sort
{sg}:tenant:<t>:end_user:<p>:generations       zset    until purged   the same, of one end user (by pseudonym)
{sg}:idempotency:<t>:<sha256 of the key>       string  until purged   "<generation id> <fingerprint>"
{sg}:unanswered:<t>:<digest of the call>       zset    resend window  its generations; ms until an answer is under way
{sg}:due:<drain>                               zset    -              what waits for a drain; score = ms when due, or
                                                                      when the lease ends; ids, or lanes where
                                                                      deliveries wait
{sg}:tenant:<t>:queued                         zset    -              its generations in the queue, by rank
{sg}:tenant:<t>:slots                          set     -              its generations that take up an upstream slot
{sg}:tenant:<t>:slotless                       set     -              its generations that have not ended, and neither
                                                                      queue nor take up a slot: their video is copied,
                                                                      or their submit is unconfirmed for long
{sg}:delayed                                   zset    -              queued, but not before; score = ms when
{sg}:fair                                      zset    -              tenants with work to dispatch, by virtual time
{sg}:resting                                   zset    -              tenants without, while theirs is ahead
{sg}:present                                   string  -              virtual time of the tenant served last
{sg}:gate                                      hash    -              why dispatch is held; accepted submits; most
                                                                      submits under way
{sg}:failed                                    zset    1 day          "<t>:<id>" failed since a submit was accepted; 0
                                                                      proves nothing, 1 a failure, 2 a lock (401, 403)
{sg}:tenant:<t>:failed                         zset    1 day          ids of the same, since one of it was accepted
{sg}:tenant:<t>:gate                           hash    1 day          why the tenant is held
{sg}:held                                      zset    -              tenants held by their failed submits; ms of the
                                                                      next probe
{sg}:under_way                                 hash    -              id claimed, outcome of its submit not known yet ->
                                                                      "<accepted submits then> <ms until it counts>"
{sg}:locked_polls                              zset    1 min          "<t>:<id>" whose polls got 401 or 403; ms of it
{sg}:paused                                    set     -              tenants whose dispatch is paused
{sg}:unconfirmed                               zset    -              unconfirmed generations; score = ms of submit
{sg}:submitted                                 zset    days           fal's request ids that are ours; ms of submit
{sg}:paid_and_lost                             zset    until purged   given up, but fal reported or may have
                                                                      billed a video; ms of that
{sg}:polls                                     hash    seconds        polls that may be made now; when that was counted
{sg}:given_up                                  zset    days           ended unconfirmed: fal may bill it; ms of submit
{sg}:pace                                      list    -              ms at fal of the last 100 that ended
{sg}:tenant:<t>:end_user:<p>                   hash    400 days       id as the tenant names it, refusals, blocked
{sg}:tenant:<t>:end_user:<p>:erasure           hash    week after it  state, generations erased, in_flight; ms started,
                                                                      finished
{sg}:money:tenant:<t>:<month>                  hash    400 days       held, spent (micro-USD), count
{sg}:money:end_user:<t>:<p>:<day>              hash    400 days       the same, of an end user's day
{sg}:money:account:<day>                       hash    400 days       the same, of everybody's day
{sg}:ledger                                    stream  400 days       holds, settlements, adjustments, in order; a hold
                                                                      has ids in base64, a settlement leaves them out
{sg}:audit                                     hash    -              the running or last audit: state, step, done and
                                                                      total, ms started, finished; found (JSON)
{sg}:price_mismatches                          hash    -              by resolution: successes in a row that were
                                                                      billed other units than expected
{sg}:usage:<t>:<day>                           hash    400 days       created, each outcome, spent
{sg}:usage:<t>:<day>:end_users                 zset    400 days       spent by pseudonym
{sg}:rate:<t>                                  string  seconds        when the tenant's calls so far would be due
{sg}:claimed                                   zset    -              being submitted; score = ms when its lease ends
{sg}:nudged:<drain>                            string  until claimed  "sent": a hint is in the broker; 1: wanted
{sg}:slots                                     set     -              generations that take up an upstream slot
{sg}:delivery:<id>                             hash    retention      v version, d record (JSON)
{sg}:lane:<t>:<receiver>                       zset    -              undone deliveries to one receiver; ms when due
{sg}:lane:<t>:<receiver>:leased                zset    -              those under way; score = ms when the lease ends
{sg}:lane:<t>:<receiver>:health                hash    10 days        its failures since one last succeeded
{sg}:tenant:<t>:delivering                     zset    -              all its deliveries under way; ms of lease's end
{sg}:tenant:<t>:lanes_held                     set     -              lanes that wait until one of these is done
{sg}:tenant:<t>:deliveries                     zset    until purged   ids of its deliveries; score 0, ids sort
{sg}:tenant:<t>:dead                           zset    until purged   those that are dead
{sg}:tenant:<t>:pending                        set     -              those that are pending
{sg}:tenant:<t>:endpoints                      hash    -              id -> "<version> <record>" (JSON, sealed)
{sg}:tenant:<t>                                string  -              the tenant (JSON, secrets sealed)
{sg}:tenant:<t>:keys                           zset    -              ids of its API keys
{sg}:tenants                                   zset    -              all tenant ids; score 0
{sg}:api_key:<id>                              string  -              the key's record (JSON, hashed secret)
{sg}:probe                                     string  10 s           written by readiness checks
{sg}:scratch                                   -       never exists   deleted first by scripts that run on a full Redis
{sg}:api_key:<id>:used                         string  -              when it was last used, to the minute (RFC 3339)
{sg}:beat                                      string  -              ms when beat last ran
{sg}:workers                                   zset    minutes        "<queue> <host>:<pid>"; score = ms last heard of
{sg}:worker:<host>:<pid>:skew                   string  minutes        ms by which its machine's clock is ahead
{sg}:broker:*                                  -       -              Celery's, when it shares this Redis

channel {sg}:changes                                                  "<generation id>" after each move of it
"""

import hashlib
from typing import Final

from service.domain.work_queue import WorkQueue

TAG: Final = "{sg}:"
#: How long money, usage, the ledger and end users' names are kept: a year and a month.
KEPT_SECONDS: Final = 400 * 24 * 3600
#: How long the record of an erasure is kept after its end.
ERASURE_KEPT_SECONDS: Final = 7 * 24 * 3600
SLOTS: Final = f"{TAG}slots"
LEDGER: Final = f"{TAG}ledger"
AUDIT: Final = f"{TAG}audit"
MONEY: Final = f"{TAG}money:*"
CLAIMED: Final = f"{TAG}claimed"
DELAYED: Final = f"{TAG}delayed"
FAIR: Final = f"{TAG}fair"
RESTING: Final = f"{TAG}resting"
PRESENT: Final = f"{TAG}present"
GATE: Final = f"{TAG}gate"
PAUSED: Final = f"{TAG}paused"
FAILED: Final = f"{TAG}failed"
HELD: Final = f"{TAG}held"
UNDER_WAY: Final = f"{TAG}under_way"
LOCKED_POLLS: Final = f"{TAG}locked_polls"
UNCONFIRMED: Final = f"{TAG}unconfirmed"
PRICE_MISMATCHES: Final = f"{TAG}price_mismatches"
SUBMITTED: Final = f"{TAG}submitted"
GIVEN_UP: Final = f"{TAG}given_up"
PAID_AND_LOST: Final = f"{TAG}paid_and_lost"
POLLS: Final = f"{TAG}polls"
PACE: Final = f"{TAG}pace"
TENANTS: Final = f"{TAG}tenants"
PROBE: Final = f"{TAG}probe"
SCRATCH: Final = f"{TAG}scratch"
BEAT: Final = f"{TAG}beat"
WORKERS: Final = f"{TAG}workers"
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


def unanswered(tenant_id: str, digest: str) -> str:
    return f"{TAG}unanswered:{tenant_id}:{digest}"


def due(drain: WorkQueue) -> str:
    return f"{TAG}due:{drain}"


def nudged(drain: WorkQueue) -> str:
    return f"{TAG}nudged:{drain}"


def delivery(delivery_id: str) -> str:
    return f"{TAG}delivery:{delivery_id}"


def lane(name: str) -> str:
    return f"{TAG}lane:{name}"


def leased_of_lane(name: str) -> str:
    return f"{TAG}lane:{name}:leased"


def health_of_lane(name: str) -> str:
    return f"{TAG}lane:{name}:health"


def delivering(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:delivering"


def lanes_held(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:lanes_held"


def deliveries_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:deliveries"


def dead_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:dead"


def pending_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:pending"


def endpoints_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:endpoints"


def tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}"


def failed_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:failed"


def gate_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:gate"


def api_keys_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:keys"


def api_key(key_id: str) -> str:
    return f"{TAG}api_key:{key_id}"


def queued_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:queued"


def slots_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:slots"


def slotless_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:slotless"


def end_user(tenant_id: str, pseudonym: str) -> str:
    return f"{TAG}tenant:{tenant_id}:end_user:{pseudonym}"


def erasure(tenant_id: str, pseudonym: str) -> str:
    return f"{TAG}tenant:{tenant_id}:end_user:{pseudonym}:erasure"


def money_of_tenant(tenant_id: str, month: str) -> str:
    return f"{TAG}money:tenant:{tenant_id}:{month}"


def money_of_end_user(tenant_id: str, pseudonym: str, day: str) -> str:
    return f"{TAG}money:end_user:{tenant_id}:{pseudonym}:{day}"


def money_of_account(day: str) -> str:
    return f"{TAG}money:account:{day}"


def usage(tenant_id: str, day: str) -> str:
    return f"{TAG}usage:{tenant_id}:{day}"


def usage_of_end_users(tenant_id: str, day: str) -> str:
    return f"{TAG}usage:{tenant_id}:{day}:end_users"


def rate(tenant_id: str) -> str:
    return f"{TAG}rate:{tenant_id}"


def skew_of_worker(name: str) -> str:
    return f"{TAG}worker:{name}:skew"


def api_key_used(key_id: str) -> str:
    return f"{TAG}api_key:{key_id}:used"
