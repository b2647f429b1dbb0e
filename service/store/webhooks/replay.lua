-- Send a done delivery again, if it still is what was read; or, where it waits for its next attempt, make it due now.
-- One that is under way stays as it is.
--
-- WHEN FULL  runs
-- KEYS  1 delivery  2 lane  3 leased of the lane  4 due:deliver  5 nudged:deliver  6 deliveries of the tenant  7 dead of
--       the tenant  8 the tenant  9 pending of the tenant
-- ARGV  1 id  2 version it was read at  3 record as it shall be ("": it waits already)  4 ms now  5 name of the lane
-- RETURNS  {1 when it goes now or 0 when it has changed or is under way, 1 if a nudge is wanted}; {-1, 0} when the
--          tenant was deleted
if redis.call("EXISTS", KEYS[8]) == 0 then
  return {-1, 0}
end
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] or redis.call("ZSCORE", KEYS[3], ARGV[1]) then
  return {0, 0}
end
if ARGV[3] ~= "" then
  redis.call("HSET", KEYS[1], "v", ARGV[2] + 1, "d", ARGV[3])
  redis.call("PERSIST", KEYS[1])
  redis.call("ZADD", KEYS[6], 0, ARGV[1])
  redis.call("ZREM", KEYS[7], ARGV[1])
end
redis.call("ZADD", KEYS[2], ARGV[4], ARGV[1])
redis.call("SADD", KEYS[9], ARGV[1])
redis.call("ZADD", KEYS[4], "LT", ARGV[4], ARGV[5])
return {1, redis.call("SET", KEYS[5], 1, "NX") and 1 or 0}
