-- Write down what became of a delivery under way, if nobody wrote first: it is due again, or done and kept until what
-- caused it is forgotten; its place is free for the next one in its lane and for a lane of its tenant that was held; and
-- what the attempt says of its receiver is counted.
--
-- WHEN FULL  runs
-- KEYS  1 delivery  2 lane  3 leased of the lane  4 health of the lane  5 under way of the tenant  6 lanes of the tenant
--       that are held  7 due:deliver  8 dead of the tenant  9 pending of the tenant
-- ARGV  1 id  2 version (before this attempt)  3 record  4 ms of the next attempt, "" when there is none
--       5 name of the lane  6 ms now  7 "1" when it is dead  8 "good", "bad" or "" (says nothing of its receiver)
--       9, 10, 11 ms of failures until it is disabled, ms that the first ones must be apart, ms that they may be at most
-- RETURNS  {1 when it was in time or 0 when it lost, 1 if something else may go now, ms its failures began or "" while
--          they are no streak, percent of the time they may last, stage told already}
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
  return {0, 0, "", 0, 0}
end
redis.call("HSET", KEYS[1], "v", ARGV[2] + 1, "d", ARGV[3])
redis.call("ZREM", KEYS[3], ARGV[1])
redis.call("ZREM", KEYS[5], ARGV[1])
if ARGV[4] == "" then
  redis.call("ZREM", KEYS[2], ARGV[1])
  redis.call("SREM", KEYS[9], ARGV[1])
else
  redis.call("ZADD", KEYS[2], ARGV[4], ARGV[1])
  redis.call("SADD", KEYS[9], ARGV[1])
end
if ARGV[7] == "1" then
  redis.call("ZADD", KEYS[8], 0, ARGV[1])
end

local now, more = tonumber(ARGV[6]), 0
local first = redis.call("ZRANGE", KEYS[2], 0, 0, "WITHSCORES")[2]
if first then
  -- Behind every lane that waits: one that is long takes turns with the others, however old what it holds.
  redis.call("ZADD", KEYS[7], math.max(tonumber(first), now), ARGV[5])
  more = tonumber(first) <= now and 1 or 0
else
  redis.call("ZREM", KEYS[7], ARGV[5])
end
local held = redis.call("SPOP", KEYS[6])
if held then
  redis.call("ZADD", KEYS[7], "LT", now - 1, held) -- ahead of its own lane, or the place would never get to another
  more = 1
end

if ARGV[8] == "good" then
  redis.call("DEL", KEYS[4])
  return {1, more, "", 0, 0}
elseif ARGV[8] == "" then
  return {1, more, "", 0, 0}
end
local total, apart, within = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local health = redis.call("HMGET", KEYS[4], "first", "last", "streak", "told")
local since, streak = tonumber(health[1] or now), health[3]
if not streak then
  if now - since > within then
    local last = tonumber(health[2])
    since = now - last > within and now or last
  end
  streak = now - since >= apart
end
redis.call("HINCRBY", KEYS[4], "failures", 1)
redis.call("HSET", KEYS[4], "first", string.format("%.0f", since), "last", ARGV[6])
redis.call("PEXPIRE", KEYS[4], total * 2)
if not streak then
  return {1, more, "", 0, 0}
end
redis.call("HSET", KEYS[4], "streak", 1)
local percent = math.min(100, math.floor((now - since) * 100 / total))
return {1, more, string.format("%.0f", since), percent, tonumber(health[4] or 0)}
