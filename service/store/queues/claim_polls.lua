-- Take polls that are due, for as long as a lease, and no more of them than the account's polls per second allow: the
-- budget refills with time and holds one second's worth. Pacing spreads the polls; this is the guard behind it, for a
-- burst that pacing cannot see (an outage that ends, a thousand cancels in one second).
--
-- WHEN FULL  runs
-- KEYS  1 due:poll  2 nudged:poll  3 polls
-- ARGV  1 ms now  2 most to take  3 ms when the lease ends  4 polls per second
-- RETURNS  {entries in the due set, id, ms it was due, id, ms, ...}
redis.call("DEL", KEYS[2])
local now, rate = tonumber(ARGV[1]), tonumber(ARGV[4])
local most = math.max(rate, 1)
local budget = redis.call("HMGET", KEYS[3], "left", "at")
local since = math.max(0, now - tonumber(budget[2] or now))
local left = math.min(most, tonumber(budget[1] or most) + since * rate / 1000)
local room = math.min(tonumber(ARGV[2]), math.floor(left))
local found = {}
if room > 0 then
  found = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "WITHSCORES", "LIMIT", 0, room)
end
for n = 1, #found, 2 do
  redis.call("ZADD", KEYS[1], ARGV[3], found[n])
end
if #found > 0 then -- an empty claim, of which each worker makes one a second, writes nothing
  redis.call("HSET", KEYS[3], "left", string.format("%.6f", left - #found / 2), "at", ARGV[1])
  redis.call("PEXPIRE", KEYS[3], math.ceil(most / rate * 1000) + 1000) -- by then it would be full
end
table.insert(found, 1, redis.call("ZCARD", KEYS[1]))
return found
