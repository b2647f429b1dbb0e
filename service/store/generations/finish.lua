-- Write the last transition of a generation, if the record still has the version that the transition started from. The
-- slot becomes free, the hold is settled in every budget window, only the purge is still due, and every delivery of the
-- event exists. All of it or nothing. Refused while a callback is stored that no poll has judged, unless the transition
-- is fal's own verdict: a deadline, a cancel or an operator must not end a job that fal has reported as finished.
--
-- USES  endpoint_queues
-- USES  deliver
-- USES  fair
-- USES  book
-- USES  spend
-- USES  terms
-- WHEN FULL  runs
-- KEYS  generation, slots, due_dispatch, due_poll, due_sweep, due_deliver, nudged_dispatch, nudged_deliver, claimed,
--       tenant_month, end_user_day, account_day (the three budget windows), ledger, tenant_queue, end_user, usage,
--       account_usage, spending_of_day, spending_of_month, tenants_of_month, tenant_slots, active_tenants, idle_tenants,
--       virtual_time, delayed, unconfirmed, job_durations, given_up, slotless, generation_terms, tenant_generation_terms,
--       tenant_deliveries, dead_letters, all_dead_letters, pending_deliveries,
--       delivery_keys... (record, endpoint queue and event of each delivery)
-- ARGV  generation_id, version (that the transition started from), record, status, purge_ms, changes_channel,
--       delivery_ms (when the deliveries are due), model, held_cost, settled_cost, tenant_id, pseudonym, outcome (in the
--       usage), refused_by_policy ("1" or ""), of_draft ("1": a draft or a completion; else ""), direct_cost (of a draft:
--       of its video at 1080p at once), retention_seconds (of usage), job_duration_ms (at fal; "": the job never
--       was there), reason (for the ledger; "": none), is_verdict ("1": the transition is fal's verdict),
--       terms, stale_terms, tenant_terms, stale_tenant_terms (that the transition adds and removes),
--       deliveries... (of each: as the part `deliver` says)
-- RETURNS  {1, 1 if dispatch wants a nudge, 1 if deliver wants one} if it was written  {0, 0, 0} if the version has
--          changed {2, 0, 0} if a callback is stored
if redis.call("HGET", generation_key, "v") ~= version then
  return {0, 0, 0}
end
if is_verdict == "" and redis.call("HEXISTS", generation_key, "c") == 1 then
  return {2, 0, 0}
end
redis.call("HSET", generation_key, "v", version + 1, "s", status, "d", record)
redis.call("HDEL", generation_key, "c", "u")
redis.call("ZREM", due_dispatch_key, generation_id)
redis.call("ZREM", due_poll_key, generation_id)
redis.call("ZREM", claimed_key, generation_id)
redis.call("ZADD", due_sweep_key, purge_ms, generation_id)
redis.call("SREM", slotless_key, generation_id)
index_terms(generation_terms_key, terms, stale_terms)
index_terms(tenant_generation_terms_key, tenant_terms, stale_tenant_terms)
local any_pending = deliver(delivery_ms)
for _, window_key in ipairs({tenant_month_key, end_user_day_key, account_day_key}) do
  redis.call("HINCRBY", window_key, "held", -held_cost)
  redis.call("HINCRBY", window_key, "spent", settled_cost)
end
redis.call("HINCRBY", end_user_day_key, status, 1)
redis.call("XADD", ledger_key, "*", "k", "settle", "g", generation_id, "t", "", "u", "", "h", -held_cost,
  "s", settled_cost)
if reason ~= "" then
  redis.call("XADD", ledger_key, "*", "k", "resolve", "g", generation_id, "t", tenant_id, "u", pseudonym, "h", 0,
    "why", reason)
end
redis.call("ZREM", tenant_queue_key, generation_id)
redis.call("ZREM", delayed_key, generation_id)
local submit_ms = redis.call("ZSCORE", unconfirmed_key, generation_id)
if submit_ms and job_duration_ms == "" then -- a later billing event of fal may still belong to this generation
  redis.call("ZADD", given_up_key, submit_ms, generation_id)
end
redis.call("ZREM", unconfirmed_key, generation_id)
if refused_by_policy == "1" then
  redis.call("HINCRBY", end_user_key, "refusals", 1)
end
book(outcome, 1)
book("m:" .. model .. ":" .. status, 1)
book("m:" .. model .. ":held", -held_cost)
if direct_cost ~= "0" then
  redis.call("HINCRBY", usage_key, "draft_direct", direct_cost)
end
spend(settled_cost)
if job_duration_ms ~= "" then
  redis.call("LPUSH", job_durations_key, job_duration_ms)
  redis.call("LTRIM", job_durations_key, 0, 99)
end
local freed = redis.call("SREM", slots_key, generation_id)
if redis.call("SREM", tenant_slots_key, generation_id) == 1 then
  enter(active_tenants_key, idle_tenants_key, virtual_time_key, tenant_id)
end
redis.call("PUBLISH", changes_channel, generation_id)
local dispatch = freed == 1 and redis.call("ZCARD", due_dispatch_key) > 0
  and redis.call("SET", nudged_dispatch_key, 1, "NX")
local send = any_pending and redis.call("SET", nudged_deliver_key, 1, "NX")
return {1, dispatch and 1 or 0, send and 1 or 0}
