-- Put off the next poll of a generation, while it is polled at all and has no unread callback.
--
-- WHEN FULL  runs
-- KEYS  1 generation  2 due:poll
-- ARGV  1 id  2 ms when
-- RETURNS  1 when it was put off
if redis.call("HEXISTS", KEYS[1], "u") == 1 then
  return 0
end
return redis.call("ZADD", KEYS[2], "XX", "CH", ARGV[2], ARGV[1])
