-- Extend the leases of claimed deliveries that the calling process still holds: in the queue of their endpoint, among
-- the leases of the endpoint, and among the leases of the tenant. An endpoint queue that is due when one of these
-- leases ends becomes due at the new end, or when the first of its deliveries is due, if that is earlier.
--
-- WHEN FULL  runs
-- USES  lease
-- KEYS  due_deliver, endpoints... (of each: queue, leases, leases of the tenant)
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
for key = endpoints_start, #KEYS, 3 do
  local queue_key, leases_key, tenant_leases_key = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local name, count = ARGV[argument], tonumber(ARGV[argument + 1])
  local held = extend(queue_key, lease_end_ms, argument + 2, count, number, lost, {leases_key, tenant_leases_key})
  if held > 0 and is_end_of_one(redis.call("ZSCORE", due_deliver_key, name), argument + 2, count) then
    local first = first_score(queue_key)
    if first <= tonumber(now_ms) then -- due, but the limit is reached: the queue waits for the first lease that ends
      first = math.min(first_score(leases_key), first_score(tenant_leases_key))
    end
    redis.call("ZADD", due_deliver_key, "XX", string.format("%.0f", first), name)
  end
  argument, number = argument + 2 + 2 * count, number + count
end
return lost
