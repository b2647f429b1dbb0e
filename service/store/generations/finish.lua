-- Write the last move of a generation, if the version is still the one it was made from: its slot is free, its hold is
-- settled in every scope, it waits for nothing but its purge, and every delivery it causes exists. All of it or nothing.
-- Refused while a callback is stored that no poll has judged, unless the move is fal's own verdict: a deadline, a cancel
-- or an operator must not end a job that fal has reported to be finished.
--
-- USES  deliver
-- USES  fair
-- WHEN FULL  runs
-- KEYS  1 generation  2 slots  3 due:dispatch  4 due:poll  5 due:sweep  6 due:deliver  7 nudged:dispatch
--       8 nudged:deliver  9 claimed  10, 11, 12 money of the tenant's month, the end
--       user's day, the account's day  13 ledger  14 queued of the tenant  15 the end user  16 usage of the tenant's
--       day  17 its spending by end user  18 slots of the tenant  19 fair  20 resting  21 present  22 delayed
--       23 unconfirmed  24 pace  25 given_up  26 slotless of the tenant  27 deliveries of the tenant  28 its dead ones
--       29 its pending ones  30... record and lane of each delivery
-- ARGV  1 id  2 version this move was made from  3 record  4 status  5 ms when it may be purged  6 channel of changes
--       7 ms when the deliveries are due  8 cost that was held  9 cost in the end  10 tenant  11 pseudonym
--       12 outcome for the usage  13 "1" when it was refused by policy  14 seconds to keep usage
--       15 ms it was at fal ("": it never was)  16 reason for the ledger ("": none)
--       17 "1" when the move is fal's verdict  18... id, record and lane of each delivery
-- RETURNS  {1, 1 if dispatch wants a nudge, 1 if deliver does} when it was in time, {0, 0, 0} when it lost, {2, 0, 0}
--          when a callback waits
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
  return {0, 0, 0}
end
if ARGV[17] == "" and redis.call("HEXISTS", KEYS[1], "c") == 1 then
  return {2, 0, 0}
end
redis.call("HSET", KEYS[1], "v", ARGV[2] + 1, "s", ARGV[4], "d", ARGV[3])
redis.call("HDEL", KEYS[1], "c", "u")
redis.call("ZREM", KEYS[3], ARGV[1])
redis.call("ZREM", KEYS[4], ARGV[1])
redis.call("ZREM", KEYS[9], ARGV[1])
redis.call("ZADD", KEYS[5], ARGV[5], ARGV[1])
redis.call("SREM", KEYS[26], ARGV[1])
local waiting = deliver(KEYS[6], ARGV[7], 27, 18)
for n = 10, 12 do
  redis.call("HINCRBY", KEYS[n], "held", -ARGV[8])
  redis.call("HINCRBY", KEYS[n], "spent", ARGV[9])
end
redis.call("XADD", KEYS[13], "*", "k", "settle", "g", ARGV[1], "t", "", "u", "", "h", -ARGV[8], "s", ARGV[9])
if ARGV[16] ~= "" then
  redis.call("XADD", KEYS[13], "*", "k", "resolve", "g", ARGV[1], "t", ARGV[10], "u", ARGV[11], "h", 0, "why", ARGV[16])
end
redis.call("ZREM", KEYS[14], ARGV[1])
redis.call("ZREM", KEYS[22], ARGV[1])
local unconfirmed = redis.call("ZSCORE", KEYS[23], ARGV[1])
if unconfirmed and ARGV[15] == "" then -- what fal bills from here on may still be its own
  redis.call("ZADD", KEYS[25], unconfirmed, ARGV[1])
end
redis.call("ZREM", KEYS[23], ARGV[1])
if ARGV[13] == "1" then
  redis.call("HINCRBY", KEYS[15], "refusals", 1)
end
redis.call("HINCRBY", KEYS[16], ARGV[12], 1)
redis.call("HINCRBY", KEYS[16], "spent", ARGV[9])
redis.call("ZINCRBY", KEYS[17], ARGV[9], ARGV[11])
for n = 16, 17 do
  if redis.call("TTL", KEYS[n]) < 0 then
    redis.call("EXPIRE", KEYS[n], ARGV[14])
  end
end
if ARGV[15] ~= "" then
  redis.call("LPUSH", KEYS[24], ARGV[15])
  redis.call("LTRIM", KEYS[24], 0, 99)
end
local freed = redis.call("SREM", KEYS[2], ARGV[1])
if redis.call("SREM", KEYS[18], ARGV[1]) == 1 then
  enter(KEYS[19], KEYS[20], KEYS[21], ARGV[10])
end
redis.call("PUBLISH", ARGV[6], ARGV[1])
local dispatch = freed == 1 and redis.call("ZCARD", KEYS[3]) > 0 and redis.call("SET", KEYS[7], 1, "NX")
local send = waiting and redis.call("SET", KEYS[8], 1, "NX")
return {1, dispatch and 1 or 0, send and 1 or 0}
