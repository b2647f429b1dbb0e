-- Write deliveries that no generation causes: a test, or a change of an endpoint. A change caused by failures is
-- announced once for each stage, and the endpoint is written together with its deliveries.
--
-- USES  endpoint_queues
-- USES  deliver
-- WHEN FULL  runs
-- KEYS  endpoints, endpoint_health, due_deliver, nudged_deliver, due_sweep, undelivered_tests, tenant_deliveries,
--       dead_letters, all_dead_letters, pending_deliveries, delivery_keys... (record, endpoint queue and event of each delivery)
-- ARGV  endpoint_id, version (that was read), after (the new endpoint; "": unchanged), stage (of the failures; "":
--       none), now_ms, purge_ms (of the deliveries), failing_since_ms (that the announcement is about; "": none),
--       deliveries_limit (stored ones of the tenant), tests_limit (undelivered ones; each applies to tests, "": none),
--       deliveries... (of each: as the part `deliver` says)
-- RETURNS  {1, 1 if a nudge is wanted} if it was written  {0, 0} if the endpoint has changed, the stage was announced
--          before, or the failures have ended  {"deliveries_full", stored}  {"too_many_tests", undelivered}
local before = redis.call("HGET", endpoints_key, endpoint_id)
if not before or string.match(before, "^%d+") ~= version then
  return {0, 0}
end
-- A success in the meantime has deleted the endpoint's failures.
if failing_since_ms ~= "" and redis.call("HGET", endpoint_health_key, "first") ~= failing_since_ms then
  return {0, 0}
end
if stage ~= "" then
  if tonumber(redis.call("HGET", endpoint_health_key, "announced") or 0) >= tonumber(stage) then
    return {0, 0}
  end
  redis.call("HSET", endpoint_health_key, "announced", stage)
else -- a test: the only event that nothing owes to the tenant
  local stored, tests = redis.call("ZCARD", tenant_deliveries_key), redis.call("SCARD", undelivered_tests_key)
  if deliveries_limit ~= "" and stored >= tonumber(deliveries_limit) then
    return {"deliveries_full", stored}
  end
  if tests_limit ~= "" and tests >= tonumber(tests_limit) then
    return {"too_many_tests", tests}
  end
end
if after ~= "" then
  redis.call("HSET", endpoints_key, endpoint_id, after)
end
for n = deliveries_start, #ARGV, 5 do
  redis.call("ZADD", due_sweep_key, purge_ms, ARGV[n])
  if stage == "" then
    redis.call("SADD", undelivered_tests_key, ARGV[n])
  end
end
local any_pending = deliver(now_ms)
return {1, any_pending and redis.call("SET", nudged_deliver_key, 1, "NX") and 1 or 0}
