"""The whole keyspace: every Redis key of the gateway, its type, its lifetime and its content.

Every key starts with the hash tag ``{sg}``, so that scripts over several keys also run on a Redis Cluster. ``<t>`` is a
tenant's id, ``<p>`` an end user's pseudonym, ``<e>`` a webhook endpoint's id or the hash of a ``webhook_url``. Times in
scores and fields are milliseconds since 1970, money is micro-USD. A lifetime of "-" means: as long as it has content.

key                                       type    lifetime      content

Generations
{sg}:generation:<id>                      hash    until purged  v version, s status, d record (JSON), c stored callback
                                                                of fal (JSON), u set while no poll has read the
                                                                callback, r refused submits: accepted submits of the
                                                                account at the first and at the last one, how many
                                                                count; t tenant and q rank while delayed
{sg}:generations                          zset    until purged  ids of all generations; score 0, ids sort
{sg}:generations:terms                    zset    until purged  index of terms: a term (hash of 6 bytes) and the id of a
                                                                generation; score 0. Terms: queued, in flight, failed,
                                                                canceled, each error code, each of fal's request ids.
                                                                "Succeeded" has none: most generations are, so the index
                                                                of all finds them; and queues have no order by id
{sg}:search_indexed                       string  -             "<pass> <begins> <tenant> <generation>": up to there the
                                                                two indexes above and those of terms have what an older
                                                                release has written; "done": they have all
{sg}:tenant:<t>:generations               zset    until purged  ids of the tenant's generations; score 0, ids sort
{sg}:tenant:<t>:generations:terms         zset    until purged  index of terms of the tenant's generations: failed,
                                                                canceled, each error code, each pair of metadata
{sg}:tenant:<t>:end_user:<p>:generations  zset    until purged  ids of the end user's generations; score 0, ids sort
{sg}:idempotency:<t>:<hash of the key>    string  until purged  "<generation id> <fingerprint>"
{sg}:undelivered_responses:<t>:<digest>   zset    resend window generations of equal create requests whose response is
                                                                not delivered; score = until when it is being sent,
                                                                0: lost. Of clients that mark a repeat, delivered
                                                                ones too; score = 2^52 - time of delivery
{sg}:fal_request_ids                      zset    days          fal's request ids of this deployment's jobs; score =
                                                                time of submit

Work queues and dispatch
{sg}:due:<work queue>                     zset    -             due set; score = when the entry is due, or when its
                                                                lease ends. Entries are generation ids or names of jobs
                                                                (sweep). Of deliver: tenants with endpoint queues of
                                                                proven receivers; score = the tenant's next turn
{sg}:due:deliver:unproven                 zset    -             the same for receivers that are not proven
{sg}:nudged:<work queue>                  string  until a claim "sent": a hint is in the broker; 1: a hint is wanted
{sg}:tenant:<t>:queued                    zset    -             the tenant's queued generations; score = rank: priority,
                                                                then age
{sg}:delayed                              zset    -             queued generations with an earliest time; score = that
{sg}:active_tenants                       zset    -             tenants that may have work to dispatch; score = virtual
                                                                time
{sg}:idle_tenants                         zset    -             the other tenants, while their virtual time is ahead
{sg}:virtual_time                         string  -             virtual time of the tenant that was served last
{sg}:paused_tenants                       set     -             tenants that an operator has paused
{sg}:slots                                set     -             generations that hold a slot of the account
{sg}:tenant:<t>:slots                     set     -             the tenant's generations that hold a slot
{sg}:tenant:<t>:slotless                  set     -             the tenant's generations that have not ended, are not
                                                                queued and hold no slot: their video is copied, or their
                                                                submit has been unconfirmed for long
{sg}:claimed                              zset    -             generations claimed for a submit; score = end of lease
{sg}:submits_under_way                    hash    -             claimed generation whose submit has no outcome yet ->
                                                                "<accepted submits at the claim> <until when it counts>"
{sg}:poll_budget                          hash    seconds       left: polls that may be sent, at: time of that count
{sg}:job_durations                        list    -             time at fal of the last 100 jobs that ended

Dispatch gate
{sg}:gate                                 hash    -             the account's gate: pause, draining, cause, probe,
                                                                number of accepted submits, submit window
{sg}:tenant:<t>:gate                      hash    1 day         the tenant's gate, while failed submits have closed it
{sg}:closed_gates                         zset    -             tenants with a closed gate; score = time of next probe
{sg}:failed_submits                       zset    1 day         "<t>:<generation id>" failed since the last accepted
                                                                submit; score 0: proves nothing, 1: a failure, 2: a
                                                                lock (401, 403)
{sg}:tenant:<t>:failed_submits            zset    1 day         generation ids failed since the last accepted submit of
                                                                the tenant; scores as above
{sg}:locked_polls                         zset    1 minute      "<t>:<generation id>" whose poll got 401 or 403; score =
                                                                time of it

Unconfirmed and lost generations
{sg}:unconfirmed                          zset    -             unconfirmed generations; score = time of submit
{sg}:given_up                             zset    days          generations that ended unconfirmed, so that fal may bill
                                                                them; score = time of submit
{sg}:paid_and_lost                        zset    until purged  given-up generations whose video fal has reported or may
                                                                have billed; score = time of that

Money and usage
{sg}:money:tenant:<t>:<month>             hash    400 days      budget window: held, spent, count of generations
{sg}:money:end_user:<t>:<p>:<day>         hash    400 days      budget window of an end user's day; and how many
                                                                generations succeeded, failed, canceled
{sg}:money:account:<day>                  hash    400 days      budget window of the account's day
{sg}:ledger                               stream  400 days      holds, settlements, adjustments, in order. Ids of a hold
                                                                are in base64; a settlement omits tenant and end user
{sg}:usage:<t>:<day>                      hash    400 days      created generations, new end users, each outcome, spent;
                                                                of drafts: spent, and their price at 1080p; m:<model>:
                                                                created, succeeded, failed, canceled, spent, held;
                                                                cost:failed:<code> spent; refused:<code> creates. At
                                                                most 60 bytes a field: 6 fields for each model of the
                                                                day, 3 for each error code
{sg}:usage:account:<day>                  hash    400 days      the same fields, summed over all tenants
{sg}:usage:<t>:<day>:refused              hash    400 days      "<p>:<code>" -> refused creates of an end user; at most
                                                                256 fields (20 kB) a day, further ones are in the sum
                                                                of the tenant's day only
{sg}:usage:tenants:<month>                zset    400 days      tenants with usage in the month, deleted ones too; score
                                                                = spent on generations of this month
{sg}:usage:<t>:<day>:end_users            zset    400 days      pseudonyms, from the first create or refusal on; score
                                                                = spent on generations of this day
{sg}:usage:<t>:<month>:end_users          zset    400 days      pseudonyms; score = spent on generations of this month
{sg}:tenant:<t>:usage_report              hash    1 day         the tenant's last usage report: id, period, state, and
                                                                how far it has been computed
{sg}:tenant:<t>:usage_report:<id>         zset    1 day         pseudonyms; score = spent in the report's period
{sg}:price_mismatches                     hash    -             resolution -> successes in a row that were billed other
                                                                units than expected
{sg}:audit                                hash    -             the running or last audit: state, step, done, total,
                                                                started, finished, found (JSON)

Webhooks
{sg}:delivery:<id>                        hash    until purged  v version, d record (JSON), e its event
{sg}:event:<id>                           hash    until purged  b body of the webhook, n number of the deliveries that
                                                                refer to it; deleted with the last of them
{sg}:tenant:<t>:endpoints                 hash    -             endpoint id -> "<version> <sealed record>"
{sg}:tenant:<t>:deliveries                zset    until purged  ids of the tenant's deliveries; score 0, ids sort
{sg}:tenant:<t>:dead_letters              zset    until purged  ids of its dead letters; score 0, ids sort
{sg}:dead_letters                         zset    until purged  ids of the dead letters of all tenants; score 0, ids
                                                                sort. The deletion of a tenant removes its own
{sg}:failing_receivers                    zset    -             endpoint queues ("<t>:<e>") whose attempts fail since
                                                                the last success; score = the first failure. Those
                                                                whose health has expired are removed by the attempts
                                                                of others
{sg}:tenant:<t>:pending_deliveries        set     -             ids of its pending deliveries
{sg}:tenant:<t>:undelivered_tests         set     -             ids of its test events that are pending for the first
                                                                time
{sg}:tenant:<t>:endpoint_queues           zset    -             its endpoint queues with pending deliveries, of proven
                                                                receivers; score = when due
{sg}:tenant:<t>:endpoint_queues:unproven  zset    -             the same for receivers that are not proven
{sg}:endpoint:<t>:<e>                     zset    -             endpoint queue: pending deliveries; score = when due
{sg}:endpoint:<t>:<e>:leases              zset    -             deliveries under way; score = end of lease
{sg}:endpoint:<t>:<e>:health              hash    10 days       failures since the last success; proven: the last
                                                                attempt succeeded within seconds

Tenants and end users
{sg}:tenant:<t>                           string  -             the tenant (JSON, secrets sealed)
{sg}:tenants                              zset    -             all tenant ids; score 0
{sg}:tenant:<t>:deleted                   string  400 days      last name of a deleted tenant, its pseudonym without an
                                                                end user, and when it was deleted (JSON)
{sg}:budget_shares                        zset    -             tenants with a monthly budget; score = held and spent of
                                                                this month, in thousandths of the budget; sampled
{sg}:waiting_tenants                      zset    -             tenants with queued generations; score = creation of the
                                                                oldest one; sampled
{sg}:stored_bytes                         zset    -             tenants; score = estimate of the bytes that it stores
{sg}:stored_bytes_turn                    string  seconds       a process has sampled those bytes in this interval
{sg}:tenant:<t>:keys                      zset    -             ids of its API keys; score 0
{sg}:api_key:<id>                         string  -             the API key (JSON, hashed secret)
{sg}:api_key:<id>:used                    string  -             minute of its last use (RFC 3339)
{sg}:tenant:<t>:trusted_issuers           hash    -             ids of its trusted issuers; value = hash of the issuer
{sg}:trusted_issuer:<id>                  string  -             the trusted issuer (JSON)
{sg}:trusted_issuer:<id>:used             string  -             minute of its last use (RFC 3339)
{sg}:trusted_issuers:<hash of the issuer> hash    -             ids of the trusted issuers, of all tenants, with this
                                                                issuer; value = pattern of the subject
{sg}:upload_ticket:<hash of its id>       string  15 minutes    permission for one upload (sealed); used once
{sg}:measurement:<hash of t and URL>      string  7 days        measurement of an uploaded video or audio file (JSON)
{sg}:rate_limit:<t>                       string  seconds       when the tenant's calls so far would be due at its rate
{sg}:tenant:<t>:end_user:<p>              hash    400 days      id as the tenant names the end user, refusals, blocked,
                                                                block_reason
{sg}:tenant:<t>:end_users                 zset    400 days      end users as the tenant names them; score = when the
                                                                last generation was created. A create removes those of
                                                                more than 400 days ago, an erasure its own
{sg}:tenant:<t>:end_user_names            zset    400 days      the same names; score 0, names sort
{sg}:tenant:<t>:blocked_end_users         zset    -             pseudonyms of blocked end users; score 0
{sg}:tenant:<t>:end_user:<p>:erasure      hash    1 week after  state, counts of generations, in_flight, deliveries and
                                                  its end       videos, started, finished

Operators and the audit trail
{sg}:operators                            zset    -             ids of all operators; score 0
{sg}:operator:<id>                        string  -             the operator (JSON)
{sg}:operator:<id>:tokens                 zset    -             ids of the operator's tokens; score 0
{sg}:operator_token:<id>                  string  -             the token (JSON, hashed secret)
{sg}:operator_token:<id>:used             string  -             minute of its last use (RFC 3339)
{sg}:trail                                stream  trail         n number, d entry (JSON), b hash of the entry before,
                                                  retention     h hash
{sg}:trail_head                           hash    -             n number and h hash of the last entry of the trail;
                                                                trimmed: entries that retention has removed
{sg}:trail_pending                        hash    until its end acts that have begun -> entry without outcome (JSON)
{sg}:trail_check                          hash    -             verification of the chain: position, n and h of the
                                                                last verified entry; breaks, last_breaks
{sg}:trail_check_turn                     string  1 minute      a process continues the verification
{sg}:tenant:<t>:acts:<day>                string  1 day         number of acts of the tenant in the trail
{sg}:tenant:<t>:trail                     zset    trail         ids of entries of the trail about the tenant; score =
                                                  retention     number
{sg}:bulk_jobs                            zset    30 days       ids of the newest bulk jobs of operators; score 0, ids
                                                                sort
{sg}:tenant:<t>:bulk_jobs                 zset    30 days       ids of the newest bulk jobs of the tenant; as above
{sg}:running_bulk_jobs                    hash    -             digest of kind and selection -> id of the operators'
                                                                bulk job that has not ended
{sg}:running_bulk_jobs:tenants            hash    -             the same of the jobs of tenants
{sg}:bulk_job_starters                    hash    -             operator or tenant -> number of its bulk jobs that have
                                                                not ended
{sg}:bulk_job:<id>                        hash    30 days after the bulk job: kind, filter (JSON), reason, actor (JSON),
                                                  its end       starter, previewed, state, cursor, matched, processed
                                                                and counts of each outcome, started, finished, note,
                                                                stop
{sg}:bulk_job:<id>:items                  list    until its end ids of the items that matched

Console
{sg}:console_session:<hash of its id>     string  1 hour idle   who logged in, and when (JSON)
{sg}:console_session:<hash>:message       string  1 minute      what the last action did; the next page shows it
{sg}:console_sessions:<kind>:<id>         zset    12 hours      hashes of the sessions of one key, token or user;
                                                                score = time of the login
{sg}:console_login:<hash of a ticket>     string  5 minutes     whom a login link logs in (JSON); used once
{sg}:console_attempts:<address>           string  seconds       when the login attempts of an address so far would be
                                                                due at their rate; without an address: of all

Processes
{sg}:beat                                 string  -             when beat last ran
{sg}:workers                              zset    minutes       "<queue> <host>:<pid>"; score = last heartbeat
{sg}:worker:<host>:<pid>:skew             string  minutes       ms by which the clock of the worker's machine is ahead
{sg}:readiness_probe                      string  10 s          written by readiness checks
{sg}:scratch                              -       never exists  deleted first by scripts that run on a full Redis
{sg}:broker:*                             -       -             Celery's, if it shares this Redis

channel {sg}:changes                                            "<generation id>" after each transition
"""

import hashlib
from typing import Final

from service.domain.work_queue import WorkQueue

TAG: Final = "{sg}:"
#: Lifetime of money, usage, the ledger and the names of end users: a year and a month.
MONEY_RETENTION_SECONDS: Final = 400 * 24 * 3600
#: In place of a tenant's id in the key of a day's usage: the sums of all tenants.
ACCOUNT: Final = "account"
#: Lifetime of a usage report after its last step.
USAGE_REPORT_RETENTION_SECONDS: Final = 24 * 3600
#: Lifetime of the record of an erasure after its end.
ERASURE_RETENTION_SECONDS: Final = 7 * 24 * 3600
#: Lifetime of the record of a bulk job after its end.
BULK_JOB_RETENTION_SECONDS: Final = 30 * 24 * 3600
GENERATIONS: Final = f"{TAG}generations"
SEARCH_INDEXED: Final = f"{TAG}search_indexed"
GENERATION_TERMS: Final = f"{TAG}generations:terms"
SLOTS: Final = f"{TAG}slots"
LEDGER: Final = f"{TAG}ledger"
AUDIT: Final = f"{TAG}audit"
MONEY: Final = f"{TAG}money:*"
CLAIMED: Final = f"{TAG}claimed"
DELAYED: Final = f"{TAG}delayed"
ACTIVE_TENANTS: Final = f"{TAG}active_tenants"
IDLE_TENANTS: Final = f"{TAG}idle_tenants"
VIRTUAL_TIME: Final = f"{TAG}virtual_time"
GATE: Final = f"{TAG}gate"
PAUSED_TENANTS: Final = f"{TAG}paused_tenants"
FAILED_SUBMITS: Final = f"{TAG}failed_submits"
CLOSED_GATES: Final = f"{TAG}closed_gates"
SUBMITS_UNDER_WAY: Final = f"{TAG}submits_under_way"
LOCKED_POLLS: Final = f"{TAG}locked_polls"
UNCONFIRMED: Final = f"{TAG}unconfirmed"
PRICE_MISMATCHES: Final = f"{TAG}price_mismatches"
FAL_REQUEST_IDS: Final = f"{TAG}fal_request_ids"
GIVEN_UP: Final = f"{TAG}given_up"
PAID_AND_LOST: Final = f"{TAG}paid_and_lost"
POLL_BUDGET: Final = f"{TAG}poll_budget"
JOB_DURATIONS: Final = f"{TAG}job_durations"
TENANTS: Final = f"{TAG}tenants"
DEAD_LETTERS: Final = f"{TAG}dead_letters"
FAILING_RECEIVERS: Final = f"{TAG}failing_receivers"
BUDGET_SHARES: Final = f"{TAG}budget_shares"
WAITING_TENANTS: Final = f"{TAG}waiting_tenants"
STORED_BYTES: Final = f"{TAG}stored_bytes"
STORED_BYTES_TURN: Final = f"{TAG}stored_bytes_turn"
OPERATORS: Final = f"{TAG}operators"
TRAIL: Final = f"{TAG}trail"
TRAIL_HEAD: Final = f"{TAG}trail_head"
TRAIL_PENDING: Final = f"{TAG}trail_pending"
BULK_JOBS: Final = f"{TAG}bulk_jobs"
RUNNING_BULK_JOBS: Final = f"{TAG}running_bulk_jobs"
RUNNING_BULK_JOBS_OF_TENANTS: Final = f"{TAG}running_bulk_jobs:tenants"
BULK_JOB_STARTERS: Final = f"{TAG}bulk_job_starters"
TRAIL_CHECK: Final = f"{TAG}trail_check"
TRAIL_CHECK_TURN: Final = f"{TAG}trail_check_turn"
READINESS_PROBE: Final = f"{TAG}readiness_probe"
#: Suffix of the due set of deliveries, and of a tenant's endpoint queues, whose receivers are not proven.
UNPROVEN: Final = ":unproven"
#: Suffix of the message of a session.
CONSOLE_MESSAGE: Final = ":message"
SCRATCH: Final = f"{TAG}scratch"
BEAT: Final = f"{TAG}beat"
WORKERS: Final = f"{TAG}workers"
CHANGES: Final = f"{TAG}changes"

#: Names and keys of the dispatch order of tenants, for scripts that use the part ``fair``.
DISPATCH_ORDER: Final = {
    "active_tenants": ACTIVE_TENANTS,
    "idle_tenants": IDLE_TENANTS,
    "virtual_time": VIRTUAL_TIME,
}


def generation(generation_id: str) -> str:
    return f"{TAG}generation:{generation_id}"


def generations_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:generations"


def generation_terms_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:generations:terms"


def generations_of_end_user(tenant_id: str, end_user: str) -> str:
    return f"{TAG}tenant:{tenant_id}:end_user:{end_user}:generations"


def idempotency(tenant_id: str, digest: str) -> str:
    return f"{TAG}idempotency:{tenant_id}:{digest}"


def operator(operator_id: str) -> str:
    return f"{TAG}operator:{operator_id}"


def tokens_of_operator(operator_id: str) -> str:
    return f"{TAG}operator:{operator_id}:tokens"


def operator_token(token_id: str) -> str:
    return f"{TAG}operator_token:{token_id}"


def operator_token_used(token_id: str) -> str:
    return f"{TAG}operator_token:{token_id}:used"


def acts_of_tenant(tenant_id: str, day: str) -> str:
    return f"{TAG}tenant:{tenant_id}:acts:{day}"


def trail_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:trail"


def bulk_jobs_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:bulk_jobs"


def bulk_job(job_id: str) -> str:
    return f"{TAG}bulk_job:{job_id}"


def items_of_bulk_job(job_id: str) -> str:
    return f"{TAG}bulk_job:{job_id}:items"


def upload_ticket(ticket_id: str) -> str:
    return f"{TAG}upload_ticket:{hashlib.sha256(ticket_id.encode()).hexdigest()[:32]}"


def console_digest(text: str) -> str:
    """Return the hash of a random id: Redis holds no id that opens a session."""
    return hashlib.sha256(text.encode()).hexdigest()


def console_session(digest: str) -> str:
    return f"{TAG}console_session:{digest}"


def console_sessions(kind: str, subject_id: str) -> str:
    return f"{TAG}console_sessions:{kind}:{subject_id}"


def console_login(digest: str) -> str:
    return f"{TAG}console_login:{digest}"


def console_attempts(address: str) -> str:
    return f"{TAG}console_attempts:{address}"


def measurement(tenant_id: str, url: str) -> str:
    return f"{TAG}measurement:{hashlib.sha256(f'{tenant_id} {url}'.encode()).hexdigest()[:32]}"


def undelivered_responses(tenant_id: str, digest: str) -> str:
    return f"{TAG}undelivered_responses:{tenant_id}:{digest}"


def due(work_queue: WorkQueue) -> str:
    return f"{TAG}due:{work_queue}"


def due_of_deliveries(*, proven: bool) -> str:
    return due(WorkQueue.DELIVER) + ("" if proven else UNPROVEN)


def nudged(work_queue: WorkQueue) -> str:
    return f"{TAG}nudged:{work_queue}"


def delivery(delivery_id: str) -> str:
    return f"{TAG}delivery:{delivery_id}"


def event(event_id: str) -> str:
    return f"{TAG}event:{event_id}"


def endpoint_queue(name: str) -> str:
    return f"{TAG}endpoint:{name}"


def endpoint_leases(name: str) -> str:
    return f"{TAG}endpoint:{name}:leases"


def endpoint_health(name: str) -> str:
    return f"{TAG}endpoint:{name}:health"


def endpoint_queues_of_tenant(tenant_id: str, *, proven: bool) -> str:
    return f"{TAG}tenant:{tenant_id}:endpoint_queues{'' if proven else UNPROVEN}"


def deliveries_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:deliveries"


def dead_letters_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:dead_letters"


def pending_deliveries_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:pending_deliveries"


def undelivered_tests_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:undelivered_tests"


def endpoints_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:endpoints"


def tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}"


def failed_submits_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:failed_submits"


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


def end_users(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:end_users"


def end_user_names(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:end_user_names"


def blocked_end_users(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:blocked_end_users"


def erasure(tenant_id: str, pseudonym: str) -> str:
    return f"{TAG}tenant:{tenant_id}:end_user:{pseudonym}:erasure"


def money_of_tenant(tenant_id: str, month: str) -> str:
    return f"{TAG}money:tenant:{tenant_id}:{month}"


def money_of_end_user(tenant_id: str, pseudonym: str, day: str) -> str:
    return f"{TAG}money:end_user:{tenant_id}:{pseudonym}:{day}"


def money_of_account(day: str) -> str:
    return f"{TAG}money:account:{day}"


def usage(tenant_id: str, day: str) -> str:
    """``tenant_id``: a tenant, or ACCOUNT."""
    return f"{TAG}usage:{tenant_id}:{day}"


def refused_end_users(tenant_id: str, day: str) -> str:
    return f"{TAG}usage:{tenant_id}:{day}:refused"


def tenants_of_month(month: str) -> str:
    return f"{TAG}usage:tenants:{month}"


def deleted_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:deleted"


def usage_of_end_users(tenant_id: str, period: str) -> str:
    """``period``: a day or a month, ``2026-01-31`` or ``2026-01``."""
    return f"{TAG}usage:{tenant_id}:{period}:end_users"


def usage_report(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:usage_report"


def usage_report_end_users(tenant_id: str, report_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:usage_report:{report_id}"


def rate_limit(tenant_id: str) -> str:
    return f"{TAG}rate_limit:{tenant_id}"


def skew_of_worker(name: str) -> str:
    return f"{TAG}worker:{name}:skew"


def api_key_used(key_id: str) -> str:
    return f"{TAG}api_key:{key_id}:used"


def trusted_issuers_of_tenant(tenant_id: str) -> str:
    return f"{TAG}tenant:{tenant_id}:trusted_issuers"


def trusted_issuer(issuer_id: str) -> str:
    return f"{TAG}trusted_issuer:{issuer_id}"


def trusted_issuer_used(issuer_id: str) -> str:
    return f"{TAG}trusted_issuer:{issuer_id}:used"


def trusted_issuers_by_name(name_hash: str) -> str:
    return f"{TAG}trusted_issuers:{name_hash}"
