-- Looked at and left as it was: its next sweep is at another time, unless somebody has moved it since it was read.
--
-- WHEN FULL  runs
-- KEYS  1 generation  2 due:sweep
-- ARGV  1 id  2 version it was read at  3 ms of the next sweep
-- RETURNS  1 when it was in time, 0 when not
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
  return 0
end
redis.call("ZADD", KEYS[2], "XX", ARGV[3], ARGV[1])
return 1
