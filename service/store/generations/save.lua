-- Write a move that is not the last one, if the version is still the one it was made from; state, slots, queue and due
-- sets change together, and every delivery it causes exists. While a callback is unread, the poll keeps the time that it
-- has: at once, or the lease of the worker that polls.
--
-- USES  deliver
-- USES  fair
-- WHEN FULL  runs
-- KEYS  1 generation  2 slots  3 due:dispatch  4 due:poll  5 due:sweep  6 nudged:dispatch  7 claimed  8 queued of the
--       tenant  9 slots of the tenant  10 fair  11 resting  12 present  13 delayed  14 unconfirmed  15 submitted
--       16 ledger  17 due:deliver  18 nudged:deliver  19 slotless of the tenant  20 deliveries of the tenant  21 its dead
--       ones  22 its pending ones  23... record and lane of each delivery
-- ARGV  1 id  2 version this move was made from  3 record  4 status  5 "1" while it holds a slot
--       6, 7, 8 ms when due for dispatch, poll, sweep ("" where it waits for nothing)  9 channel of changes  10 tenant
--       11 its rank in the tenant's queue  12 fal's request id ("" before there is one)  13 ms of its submit ("": none)
--       14 reason for the ledger ("": none)  15 pseudonym  16 ms when the deliveries are due
--       17 "1" when fal's verdict is on the record: its callback adds nothing  18... id, record and lane of each delivery
-- RETURNS  {1, 1 if dispatch wants a nudge, 1 if deliver does} when it was in time, {0, 0, 0} when it lost, {2, 0, 0}
--          when it was to adopt, for a reason, a request id that is another's
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
  return {0, 0, 0}
end
if ARGV[12] ~= "" and ARGV[14] ~= "" and redis.call("ZSCORE", KEYS[15], ARGV[12]) then
  return {2, 0, 0}
end
redis.call("HSET", KEYS[1], "v", ARGV[2] + 1, "s", ARGV[4], "d", ARGV[3])
if ARGV[17] == "1" then
  redis.call("HDEL", KEYS[1], "c", "u")
end
local unread = redis.call("HEXISTS", KEYS[1], "u") == 1
for n = 3, 5 do
  if n ~= 4 or not unread then
    if ARGV[n + 3] == "" then
      redis.call("ZREM", KEYS[n], ARGV[1])
    else
      redis.call("ZADD", KEYS[n], ARGV[n + 3], ARGV[1])
    end
  end
end
redis.call("ZREM", KEYS[7], ARGV[1])
if ARGV[6] == "" then
  redis.call("ZREM", KEYS[8], ARGV[1])
  redis.call("ZREM", KEYS[13], ARGV[1])
else -- back in the queue, but not before its time: the next dispatch decision after that puts it in its place
  redis.call("HSET", KEYS[1], "t", ARGV[10], "q", ARGV[11])
  redis.call("ZADD", KEYS[8], WAITING + ARGV[11], ARGV[1])
  redis.call("ZADD", KEYS[13], ARGV[6], ARGV[1])
end
if ARGV[4] == "unconfirmed" then
  redis.call("ZADD", KEYS[14], ARGV[13], ARGV[1])
else
  redis.call("ZREM", KEYS[14], ARGV[1])
end
if ARGV[12] ~= "" then
  redis.call("ZADD", KEYS[15], "NX", ARGV[13], ARGV[12])
end
if ARGV[14] ~= "" then
  redis.call("XADD", KEYS[16], "*", "k", "resolve", "g", ARGV[1], "t", ARGV[10], "u", ARGV[15], "h", 0, "why", ARGV[14])
end
local freed = 0
if ARGV[5] == "1" then
  redis.call("SADD", KEYS[2], ARGV[1])
  redis.call("SADD", KEYS[9], ARGV[1])
else
  freed = redis.call("SREM", KEYS[2], ARGV[1])
  redis.call("SREM", KEYS[9], ARGV[1])
  enter(KEYS[10], KEYS[11], KEYS[12], ARGV[10])
end
redis.call(ARGV[5] == "" and ARGV[4] ~= "queued" and "SADD" or "SREM", KEYS[19], ARGV[1])
local waiting = deliver(KEYS[17], ARGV[16], 20, 18)
redis.call("PUBLISH", ARGV[9], ARGV[1])
local wanted = freed == 1 and redis.call("ZCARD", KEYS[3]) > 0 and redis.call("SET", KEYS[6], 1, "NX")
local send = waiting and redis.call("SET", KEYS[18], 1, "NX")
return {1, wanted and 1 or 0, send and 1 or 0}
