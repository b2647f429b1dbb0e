-- Write a transition that is not the last one, if the record still has the version that the transition started from.
-- Status, slots, queue and due sets change together, and every delivery of the event exists. While a callback is
-- unread, the poll keeps its time: now, or the end of the lease of the worker that polls.
--
-- USES  endpoint_queues
-- USES  deliver
-- USES  fair
-- USES  terms
-- WHEN FULL  runs
-- KEYS  generation, slots, due_dispatch, due_poll, due_sweep, nudged_dispatch, claimed, tenant_queue, tenant_slots,
--       active_tenants, idle_tenants, virtual_time, delayed, unconfirmed, fal_request_ids, ledger, due_deliver,
--       nudged_deliver, slotless, generation_terms, tenant_generation_terms, tenant_deliveries, dead_letters,
--       all_dead_letters, pending_deliveries,
--       delivery_keys... (record, endpoint queue and event of each delivery)
-- ARGV  generation_id, version (that the transition started from), record, status, holds_slot ("1" or ""),
--       dispatch_ms, poll_ms, sweep_ms (when it is due for each; "": never), changes_channel, tenant_id,
--       rank (in the tenant's queue), request_id (of fal; "": none yet), submit_ms ("": none),
--       reason (for the ledger; "": none), pseudonym, delivery_ms (when the deliveries are due),
--       has_verdict ("1": the record has fal's verdict, so that a stored callback adds nothing),
--       terms, stale_terms, tenant_terms, stale_tenant_terms (that the transition adds and removes),
--       deliveries... (of each: as the part `deliver` says)
-- RETURNS  {1, 1 if dispatch wants a nudge, 1 if deliver wants one} if it was written  {0, 0, 0} if the version has
--          changed {2, 0, 0} if it was to adopt, for a reason, a request id that belongs to another generation
if redis.call("HGET", generation_key, "v") ~= version then
  return {0, 0, 0}
end
if request_id ~= "" and reason ~= "" and redis.call("ZSCORE", fal_request_ids_key, request_id) then
  return {2, 0, 0}
end
redis.call("HSET", generation_key, "v", version + 1, "s", status, "d", record)
if has_verdict == "1" then
  redis.call("HDEL", generation_key, "c", "u")
end
local function set_due(key, due_ms)
  if due_ms == "" then
    redis.call("ZREM", key, generation_id)
  else
    redis.call("ZADD", key, due_ms, generation_id)
  end
end
set_due(due_dispatch_key, dispatch_ms)
set_due(due_sweep_key, sweep_ms)
if redis.call("HEXISTS", generation_key, "u") == 0 then
  set_due(due_poll_key, poll_ms)
end
redis.call("ZREM", claimed_key, generation_id)
if dispatch_ms == "" then
  redis.call("ZREM", tenant_queue_key, generation_id)
  redis.call("ZREM", delayed_key, generation_id)
else -- queued again, but not before its time: the next dispatch decision after that time gives it its own rank
  redis.call("HSET", generation_key, "t", tenant_id, "q", rank)
  redis.call("ZADD", tenant_queue_key, WAITING + rank, generation_id)
  redis.call("ZADD", delayed_key, dispatch_ms, generation_id)
end
if status == "unconfirmed" then
  redis.call("ZADD", unconfirmed_key, submit_ms, generation_id)
else
  redis.call("ZREM", unconfirmed_key, generation_id)
end
if request_id ~= "" then
  redis.call("ZADD", fal_request_ids_key, "NX", submit_ms, request_id)
end
if reason ~= "" then
  redis.call("XADD", ledger_key, "*", "k", "resolve", "g", generation_id, "t", tenant_id, "u", pseudonym, "h", 0,
    "why", reason)
end
local freed = 0
if holds_slot == "1" then
  redis.call("SADD", slots_key, generation_id)
  redis.call("SADD", tenant_slots_key, generation_id)
else
  freed = redis.call("SREM", slots_key, generation_id)
  redis.call("SREM", tenant_slots_key, generation_id)
  enter(active_tenants_key, idle_tenants_key, virtual_time_key, tenant_id)
end
redis.call(holds_slot == "" and status ~= "queued" and "SADD" or "SREM", slotless_key, generation_id)
index_terms(generation_terms_key, terms, stale_terms)
index_terms(tenant_generation_terms_key, tenant_terms, stale_tenant_terms)
local any_pending = deliver(delivery_ms)
redis.call("PUBLISH", changes_channel, generation_id)
local dispatch = freed == 1 and redis.call("ZCARD", due_dispatch_key) > 0
  and redis.call("SET", nudged_dispatch_key, 1, "NX")
local send = any_pending and redis.call("SET", nudged_deliver_key, 1, "NX")
return {1, dispatch and 1 or 0, send and 1 or 0}
