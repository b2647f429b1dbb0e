-- Extend the leases of claimed deliveries that the calling process still holds: in the queue of their endpoint, and among
-- the leases of the endpoint. An endpoint queue that is due when one of these leases ends becomes due at the new end, or
-- when the first of its deliveries is due, if that is earlier.
--
-- WHEN FULL  runs
-- USES  lease
-- USES  endpoint_queues
-- KEYS  due_deliver, endpoints... (of each: queue, leases)
-- ARGV  now_ms, lease_end_ms, deliveries... (of each endpoint: name of its queue, number of its deliveries; then of
--       each of them id and the scores that it may have, each between spaces)
-- RETURNS  {numbers of the deliveries that are no longer held, from 1}
local function first_score(key)
  return tonumber(redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2])
end

local function is_end_of_one(score, argument, count)
  for n = 1, score and count or 0 do
    if string.find(ARGV[argument + 2 * n - 1], " " .. score .. " ", 1, true) then
      return true
    end
  end
  return false
end

local lost, argument, number = {}, deliveries_start, 1
for key = endpoints_start, #KEYS, 2 do
  local queue_key, leases_key = KEYS[key], KEYS[key + 1]
  local name, count = ARGV[argument], tonumber(ARGV[argument + 1])
  local held = extend(queue_key, lease_end_ms, argument + 2, count, number, lost, {leases_key})
  local suffix, score = find_queue(name)
  if held > 0 and is_end_of_one(score, argument + 2, count) then
    local first = first_score(queue_key)
    if first <= tonumber(now_ms) then -- due, but the limit is reached: the queue waits for the first lease that ends
      first = first_score(leases_key)
    end
    redis.call("ZADD", queues_of(tenant_of(name), suffix), string.format("%.0f", first), name)
    refresh_turn(tenant_of(name), suffix, tonumber(now_ms))
  end
  argument, number = argument + 2 + 2 * count, number + count
end
return lost
