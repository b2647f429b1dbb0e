-- Write an endpoint that still has the version that was read, or a new endpoint if its tenant has fewer than the limit.
--
-- WHEN FULL  runs
-- KEYS  endpoints, tenant, endpoint_health, failing_receivers
-- ARGV  endpoint_id, version (that was read; 0: it is new), after (the new record), limit (endpoints of a tenant),
--       resets_health ("1": its failures are deleted), queue_name (of the endpoint queue)
-- RETURNS  "written", "changed", "full" or "orphan"
if redis.call("EXISTS", tenant_key) == 0 then
  return "orphan"
end
local before = redis.call("HGET", endpoints_key, endpoint_id)
if (before and string.match(before, "^%d+") or "0") ~= version then
  return "changed"
end
if not before and redis.call("HLEN", endpoints_key) >= tonumber(limit) then
  return "full"
end
redis.call("HSET", endpoints_key, endpoint_id, after)
if resets_health == "1" then
  redis.call("DEL", endpoint_health_key)
  redis.call("ZREM", failing_receivers_key, queue_name)
end
return "written"
