-- Follow a given-up job of fal again, if the record still has the version that was read. The settlement is reversed
-- (the cost is held again, the spent amount is taken back), the generation gets a slot, and it is polled now. Its
-- stored callback stays for that poll. All of it or nothing.
--
-- USES  book
-- USES  spend
-- USES  terms
-- WHEN FULL  runs
-- KEYS  generation, slots, due_poll, due_sweep, nudged_poll, tenant_month, end_user_day, account_day (the three budget
--       windows), ledger, usage, account_usage, spending_of_day, spending_of_month, tenants_of_month, tenant_slots,
--       fal_request_ids, given_up, paid_and_lost, tenant, generation_terms, tenant_generation_terms
-- ARGV  generation_id, version (that was read), record, status, now_ms, changes_channel, model, held_cost, settled_cost
--       (that was spent), tenant_id, pseudonym, outcome (that the usage has counted), of_draft ("1": a draft or a completion; else
--       ""), reason (for the ledger), request_id (of fal), submit_ms, retention_seconds (of usage),
--       terms, stale_terms, tenant_terms, stale_tenant_terms (that the transition adds and removes)
-- RETURNS  {1, 1 if a nudge is wanted} if it was written  {0, 0} if the version has changed  {2, 0} if the request id
--          belongs to another generation  {3, 0} if the tenant was deleted: no budget is left that could hold the cost
if redis.call("HGET", generation_key, "v") ~= version then
  return {0, 0}
end
if redis.call("EXISTS", tenant_key) == 0 then
  return {3, 0}
end
local before = cjson.decode(redis.call("HGET", generation_key, "d"))
if before.request_id ~= request_id and redis.call("ZSCORE", fal_request_ids_key, request_id) then
  return {2, 0}
end
redis.call("HSET", generation_key, "v", version + 1, "s", status, "d", record)
redis.call("SADD", slots_key, generation_id)
redis.call("SADD", tenant_slots_key, generation_id)
redis.call("ZADD", due_poll_key, now_ms, generation_id)
redis.call("ZREM", due_sweep_key, generation_id)
for _, window_key in ipairs({tenant_month_key, end_user_day_key, account_day_key}) do
  redis.call("HINCRBY", window_key, "held", held_cost)
  redis.call("HINCRBY", window_key, "spent", 0 - settled_cost)
end
redis.call("XADD", ledger_key, "*", "k", "revive", "g", generation_id, "t", tenant_id, "u", pseudonym, "h", held_cost,
  "s", 0 - settled_cost, "why", reason)
local ended = string.match(outcome, "^%a+")
redis.call("HINCRBY", end_user_day_key, ended, -1)
book(outcome, -1)
book("m:" .. model .. ":" .. ended, -1)
book("m:" .. model .. ":held", held_cost)
if redis.call("HGET", usage_key, outcome) == "0" then
  redis.call("HDEL", usage_key, outcome)
end
spend(0 - settled_cost)
redis.call("ZADD", fal_request_ids_key, "NX", submit_ms, request_id)
index_terms(generation_terms_key, terms, stale_terms)
index_terms(tenant_generation_terms_key, tenant_terms, stale_tenant_terms)
redis.call("ZREM", given_up_key, generation_id)
redis.call("ZREM", paid_and_lost_key, generation_id)
redis.call("PUBLISH", changes_channel, generation_id)
return {1, redis.call("SET", nudged_poll_key, 1, "NX") and 1 or 0}
