-- Write a move that is not the last one, if nobody moved first; state, slot and due sets change together, and every
-- delivery it causes exists.
--
-- USES  deliver
-- KEYS  1 generation  2 slots  3 due:dispatch  4 due:poll  5 due:sweep  6 nudged:dispatch  7 claimed  8 queued of the
--       tenant  9 due:deliver  10 nudged:deliver  11 deliveries of the tenant  12 its dead ones  13... record and lane of
--       each delivery
-- ARGV  1 id  2 version this move was made from  3 record  4 status  5 "1" while it holds a slot
--       6, 7, 8 ms when due for dispatch, poll, sweep ("" where it waits for nothing)  9 channel of changes
--       10 ms when the deliveries are due  11... id, record and lane of each delivery
-- RETURNS  {1, 1 if dispatch wants a nudge, 1 if deliver does} when it was in time, {0, 0, 0} when it lost
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
  return {0, 0, 0}
end
redis.call("HSET", KEYS[1], "v", ARGV[2] + 1, "s", ARGV[4], "d", ARGV[3])
for n = 3, 5 do
  if ARGV[n + 3] == "" then
    redis.call("ZREM", KEYS[n], ARGV[1])
  else
    redis.call("ZADD", KEYS[n], ARGV[n + 3], ARGV[1])
  end
end
redis.call("ZREM", KEYS[7], ARGV[1])
redis.call(ARGV[6] == "" and "SREM" or "SADD", KEYS[8], ARGV[1])
local freed = 0
if ARGV[5] == "1" then
  redis.call("SADD", KEYS[2], ARGV[1])
else
  freed = redis.call("SREM", KEYS[2], ARGV[1])
end
local waiting = deliver(KEYS[9], ARGV[10], 11, 11)
redis.call("PUBLISH", ARGV[9], ARGV[1])
local wanted = freed == 1 and redis.call("ZCARD", KEYS[3]) > 0 and redis.call("SET", KEYS[6], 1, "NX", "PX", 1000)
local send = waiting and redis.call("SET", KEYS[10], 1, "NX", "PX", 1000)
return {1, wanted and 1 or 0, send and 1 or 0}
