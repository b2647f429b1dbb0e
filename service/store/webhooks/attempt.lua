-- Write the outcome of an attempt, if no other process has written first. The delivery is due again, or it is finished
-- and stays until its cause is purged. Its lease ends: the next delivery of its endpoint may be claimed. What the attempt
-- says about its endpoint is counted, and decides whether the receiver is proven.
--
-- USES  endpoint_queues
-- WHEN FULL  runs
-- KEYS  delivery, endpoint_queue, endpoint_leases, endpoint_health, due_deliver, dead_letters, all_dead_letters,
--       failing_receivers, pending_deliveries, undelivered_tests
-- ARGV  delivery_id, version (before this attempt), record, next_ms (of the next attempt; "": none), queue_name (of the
--       endpoint queue), now_ms, is_dead ("1" or ""), verdict ("good", "slow" for a success that took long, "bad", or
--       "": no statement about the endpoint), disable_after_ms (of failures), least_span_ms, largest_span_ms (between
--       the first two failures)
-- RETURNS  {1 if it was written or 0 if the version has changed, 1 if something else may be claimed now, ms since when
--          the endpoint fails ("" while its failures are no streak), percent of disable_after_ms, announced stage,
--          failures since the last success}
if redis.call("HGET", delivery_key, "v") ~= version then
  return {0, 0, "", 0, 0, 0}
end
redis.call("HSET", delivery_key, "v", version + 1, "d", record)
redis.call("ZREM", endpoint_leases_key, delivery_id)
if next_ms == "" then
  redis.call("ZREM", endpoint_queue_key, delivery_id)
  redis.call("SREM", pending_deliveries_key, delivery_id)
  redis.call("SREM", undelivered_tests_key, delivery_id)
else
  redis.call("ZADD", endpoint_queue_key, next_ms, delivery_id)
  redis.call("SADD", pending_deliveries_key, delivery_id)
end
if is_dead == "1" then
  redis.call("ZADD", dead_letters_key, 0, delivery_id)
  redis.call("ZADD", all_dead_letters_key, 0, delivery_id)
end

local now, total = tonumber(now_ms), tonumber(disable_after_ms)
local since, percent, announced, failures = "", 0, 0, 0
if verdict == "good" or verdict == "slow" then
  redis.call("DEL", endpoint_health_key)
  redis.call("ZREM", failing_receivers_key, queue_name)
  if verdict == "good" then
    redis.call("HSET", endpoint_health_key, "proven", 1)
    redis.call("PEXPIRE", endpoint_health_key, total * 2)
  end
elseif verdict == "bad" then
  local least_span, largest_span = tonumber(least_span_ms), tonumber(largest_span_ms)
  local health = redis.call("HMGET", endpoint_health_key, "first", "last", "streak", "announced")
  local first, streak = tonumber(health[1] or now), health[3]
  if not streak then
    if now - first > largest_span then
      local last = tonumber(health[2])
      first = now - last > largest_span and now or last
    end
    streak = now - first >= least_span
  end
  failures = redis.call("HINCRBY", endpoint_health_key, "failures", 1)
  redis.call("HSET", endpoint_health_key, "first", string.format("%.0f", first), "last", now_ms)
  redis.call("HDEL", endpoint_health_key, "proven")
  redis.call("PEXPIRE", endpoint_health_key, total * 2)
  redis.call("ZADD", failing_receivers_key, string.format("%.0f", first), queue_name)
  -- Receivers without attempts never succeed. Each failure removes up to two of them, and adds one at most.
  for _, name in ipairs(redis.call("ZRANDMEMBER", failing_receivers_key, 2)) do
    if redis.call("EXISTS", TAG .. "endpoint:" .. name .. ":health") == 0 then
      redis.call("ZREM", failing_receivers_key, name)
    end
  end
  if streak then
    redis.call("HSET", endpoint_health_key, "streak", 1)
    since = string.format("%.0f", first)
    percent, announced = math.min(100, math.floor((now - first) * 100 / total)), tonumber(health[4] or 0)
  end
end

local due = redis.call("ZRANGE", endpoint_queue_key, 0, 0, "WITHSCORES")[2]
if due then
  -- Behind every queue of the tenant that is due: a long queue takes turns with the others, however old its deliveries.
  schedule_queue(queue_name, math.max(tonumber(due), now), now, false)
else
  remove_queue(queue_name)
end
local more = 0
for _, suffix in ipairs({"", UNPROVEN}) do
  local turn = redis.call("ZRANGE", due_deliver_key .. suffix, 0, 0, "WITHSCORES")[2]
  if turn and tonumber(turn) <= now then
    more = 1
  end
end
return {1, more, since, percent, announced, failures}
