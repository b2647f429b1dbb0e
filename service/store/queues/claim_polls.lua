-- Claim due polls under a lease, at most as many as the account's polls per second allow. The budget refills with time
-- and holds one second's worth. The schedule already spreads the polls. This script is the safeguard behind it, for
-- bursts that the schedule cannot foresee: the end of an outage, a thousand cancels in one second.
--
-- WHEN FULL  runs
-- KEYS  due_poll, nudged_poll, poll_budget
-- ARGV  now_ms, limit (maximum number of polls), lease_end_ms, polls_per_second
-- RETURNS  {entries in the due set, id, ms at which it was due, id, ms, ...}
redis.call("DEL", nudged_poll_key)
local now, rate = tonumber(now_ms), tonumber(polls_per_second)
local capacity = math.max(rate, 1)
local budget = redis.call("HMGET", poll_budget_key, "left", "at")
local elapsed = math.max(0, now - tonumber(budget[2] or now))
local left = math.min(capacity, tonumber(budget[1] or capacity) + elapsed * rate / 1000)
local allowed = math.min(tonumber(limit), math.floor(left))
local found = {}
if allowed > 0 then
  found = redis.call("ZRANGEBYSCORE", due_poll_key, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, allowed)
end
for n = 1, #found, 2 do
  redis.call("ZADD", due_poll_key, lease_end_ms, found[n])
end
if #found > 0 then -- each worker makes one empty claim a second: it writes nothing
  redis.call("HSET", poll_budget_key, "left", string.format("%.6f", left - #found / 2), "at", now_ms)
  redis.call("PEXPIRE", poll_budget_key, math.ceil(capacity / rate * 1000) + 1000) -- by then the budget would be full
end
table.insert(found, 1, redis.call("ZCARD", due_poll_key))
return found
