-- Write the outcome of an attempt, if no other process has written first. The delivery is due again, or it is finished
-- and stays until its cause is purged. Its lease ends: the next delivery of its endpoint may be claimed, and one
-- endpoint queue of its tenant that waited for the tenant's limit. What the attempt says about its endpoint is counted.
--
-- WHEN FULL  runs
-- KEYS  delivery, endpoint_queue, endpoint_leases, endpoint_health, tenant_leases, waiting_queues (endpoint queues that
--       wait for the tenant's limit), due_deliver, dead_letters, pending_deliveries
-- ARGV  delivery_id, version (before this attempt), record, next_ms (of the next attempt; "": none), queue_name (of the
--       endpoint queue), now_ms, is_dead ("1" or ""), verdict ("good", "bad" or "": no statement about the endpoint),
--       disable_after_ms (of failures), least_span_ms, largest_span_ms (between the first two failures)
-- RETURNS  {1 if it was written or 0 if the version has changed, 1 if something else may be claimed now, ms since when
--          the endpoint fails ("" while its failures are no streak), percent of disable_after_ms, announced stage}
if redis.call("HGET", delivery_key, "v") ~= version then
  return {0, 0, "", 0, 0}
end
redis.call("HSET", delivery_key, "v", version + 1, "d", record)
redis.call("ZREM", endpoint_leases_key, delivery_id)
redis.call("ZREM", tenant_leases_key, delivery_id)
if next_ms == "" then
  redis.call("ZREM", endpoint_queue_key, delivery_id)
  redis.call("SREM", pending_deliveries_key, delivery_id)
else
  redis.call("ZADD", endpoint_queue_key, next_ms, delivery_id)
  redis.call("SADD", pending_deliveries_key, delivery_id)
end
if is_dead == "1" then
  redis.call("ZADD", dead_letters_key, 0, delivery_id)
end

local now, more = tonumber(now_ms), 0
local first_due = redis.call("ZRANGE", endpoint_queue_key, 0, 0, "WITHSCORES")[2]
if first_due then
  -- Behind every queue that is due: a long queue takes turns with the others, however old its deliveries are.
  redis.call("ZADD", due_deliver_key, math.max(tonumber(first_due), now), queue_name)
  more = tonumber(first_due) <= now and 1 or 0
else
  redis.call("ZREM", due_deliver_key, queue_name)
end
local waiting = redis.call("SPOP", waiting_queues_key)
if waiting then
  -- Before this delivery's own queue, which would otherwise use up the tenant's limit alone.
  redis.call("ZADD", due_deliver_key, "LT", now - 1, waiting)
  more = 1
end

if verdict == "good" then
  redis.call("DEL", endpoint_health_key)
  return {1, more, "", 0, 0}
elseif verdict == "" then
  return {1, more, "", 0, 0}
end
local total, least_span, largest_span = tonumber(disable_after_ms), tonumber(least_span_ms), tonumber(largest_span_ms)
local health = redis.call("HMGET", endpoint_health_key, "first", "last", "streak", "announced")
local since, streak = tonumber(health[1] or now), health[3]
if not streak then
  if now - since > largest_span then
    local last = tonumber(health[2])
    since = now - last > largest_span and now or last
  end
  streak = now - since >= least_span
end
redis.call("HINCRBY", endpoint_health_key, "failures", 1)
redis.call("HSET", endpoint_health_key, "first", string.format("%.0f", since), "last", now_ms)
redis.call("PEXPIRE", endpoint_health_key, total * 2)
if not streak then
  return {1, more, "", 0, 0}
end
redis.call("HSET", endpoint_health_key, "streak", 1)
local percent = math.min(100, math.floor((now - since) * 100 / total))
return {1, more, string.format("%.0f", since), percent, tonumber(health[4] or 0)}
