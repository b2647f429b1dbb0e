-- Follow a job again that was given up although fal has it, if the version is still the one that was read: its
-- settlement is taken back (held again, what was booked as spent is not spent any more), it takes a slot, and it is
-- polled now. Its stored callback stays for that poll. All of it or nothing.
--
-- WHEN FULL  runs
-- KEYS  1 generation  2 slots  3 due:poll  4 due:sweep  5 nudged:poll  6, 7, 8 money of the tenant's month, the end
--       user's day, the account's day  9 ledger  10 usage of the tenant's day  11 its spending by end user  12 slots of
--       the tenant  13 submitted  14 given_up  15 paid_and_lost
-- ARGV  1 id  2 version it was read at  3 record  4 status  5 ms now  6 channel of changes  7 cost to hold  8 cost that
--       was booked  9 tenant  10 pseudonym  11 outcome it had in the usage  12 reason for the ledger  13 fal's request id
--       14 ms of its submit
-- RETURNS  {1, 1 if a nudge is wanted} when it was in time, {0, 0} when it has changed, {2, 0} when the request id is
--          another generation's
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
  return {0, 0}
end
local known = redis.call("HGET", KEYS[1], "d")
if cjson.decode(known).request_id ~= ARGV[13] and redis.call("ZSCORE", KEYS[13], ARGV[13]) then
  return {2, 0}
end
redis.call("HSET", KEYS[1], "v", ARGV[2] + 1, "s", ARGV[4], "d", ARGV[3])
redis.call("SADD", KEYS[2], ARGV[1])
redis.call("SADD", KEYS[12], ARGV[1])
redis.call("ZADD", KEYS[3], ARGV[5], ARGV[1])
redis.call("ZREM", KEYS[4], ARGV[1])
for n = 6, 8 do
  redis.call("HINCRBY", KEYS[n], "held", ARGV[7])
  redis.call("HINCRBY", KEYS[n], "spent", 0 - ARGV[8])
end
redis.call("XADD", KEYS[9], "*", "k", "revive", "g", ARGV[1], "t", ARGV[9], "u", ARGV[10], "h", ARGV[7], "s", 0 - ARGV[8], "why", ARGV[12])
if redis.call("HINCRBY", KEYS[10], ARGV[11], -1) == 0 then
  redis.call("HDEL", KEYS[10], ARGV[11])
end
redis.call("HINCRBY", KEYS[10], "spent", 0 - ARGV[8])
redis.call("ZINCRBY", KEYS[11], 0 - ARGV[8], ARGV[10])
redis.call("ZADD", KEYS[13], "NX", ARGV[14], ARGV[13])
redis.call("ZREM", KEYS[14], ARGV[1])
redis.call("ZREM", KEYS[15], ARGV[1])
redis.call("PUBLISH", ARGV[6], ARGV[1])
return {1, redis.call("SET", KEYS[5], 1, "NX") and 1 or 0}
