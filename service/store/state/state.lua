-- Read the account-wide figures of /metrics, in one script that changes nothing.
--
-- WHEN FULL  reads
-- KEYS  slots, unconfirmed, account_day, due_deliver, paid_and_lost, due_sets... (of every work queue)
-- ARGV  endpoint_queue_prefix, endpoint_limit (endpoint queues that are read at most), now_ms
-- RETURNS  {used slots, unconfirmed generations, ms of the oldest of them, held and spent of the account's day,
--          {entries of each due set}, {ms of the oldest entry of each}, {name of an endpoint queue, its deliveries,
--          those that are due, name, ...}, paid and lost generations}; "" for what does not exist
local function oldest_of(key)
  return redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2] or ""
end

local endpoints = {}
for _, name in ipairs(redis.call("ZRANGE", due_deliver_key, 0, endpoint_limit - 1)) do
  endpoints[#endpoints + 1] = name
  endpoints[#endpoints + 1] = redis.call("ZCARD", endpoint_queue_prefix .. name)
  endpoints[#endpoints + 1] = redis.call("ZCOUNT", endpoint_queue_prefix .. name, "-inf", now_ms)
end
local entries, oldest = {}, {}
for n = due_sets_start, #KEYS do
  entries[#entries + 1] = redis.call("ZCARD", KEYS[n])
  oldest[#oldest + 1] = oldest_of(KEYS[n])
end
local account = redis.call("HMGET", account_day_key, "held", "spent")
return {
  redis.call("SCARD", slots_key),
  redis.call("ZCARD", unconfirmed_key),
  oldest_of(unconfirmed_key),
  account[1] or 0,
  account[2] or 0,
  entries,
  oldest,
  endpoints,
  redis.call("ZCARD", paid_and_lost_key),
}
