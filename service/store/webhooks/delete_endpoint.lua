-- Delete an endpoint that still has the version that was read.
--
-- WHEN FULL  runs
-- KEYS  endpoints, endpoint_health, failing_receivers
-- ARGV  endpoint_id, version (that was read), queue_name (of the endpoint queue)
-- RETURNS  1, or 0 if the version has changed or the endpoint is deleted already
local before = redis.call("HGET", endpoints_key, endpoint_id)
if not before or string.match(before, "^%d+") ~= version then
  return 0
end
redis.call("HDEL", endpoints_key, endpoint_id)
redis.call("DEL", endpoint_health_key)
redis.call("ZREM", failing_receivers_key, queue_name)
return 1
