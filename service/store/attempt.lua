-- Write down an attempt of a delivery, if nobody wrote one first; then it is due again, or done and kept for a while.
--
-- KEYS  1 delivery  2 due:deliver
-- ARGV  1 id  2 version (attempts before this one)  3 record  4 ms of the next attempt, "" when there is none
--       5 ms to keep it once it is done
-- RETURNS  1 when it was in time, 0 when it lost
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
  return 0
end
redis.call("HSET", KEYS[1], "v", ARGV[2] + 1, "d", ARGV[3])
if ARGV[4] == "" then
  redis.call("ZREM", KEYS[2], ARGV[1])
  redis.call("PEXPIRE", KEYS[1], ARGV[5])
else
  redis.call("ZADD", KEYS[2], ARGV[4], ARGV[1])
end
return 1
