-- End an erasure, unless a generation of the end user is left: one that was created while the others were erased. So
-- whatever was created before this has been erased, and the name with it; what is created later is a new use.
--
-- WHEN FULL  runs
-- KEYS  1 erasure  2 the end user  3 its generations  4 due:sweep
-- ARGV  1 name of the erasure in the due set  2 ms now  3 seconds to keep the record of the erasure
-- RETURNS  1 when it has ended, 0 when something is left
if redis.call("ZCARD", KEYS[3]) > 0 then
  return 0
end
redis.call("ZREM", KEYS[4], ARGV[1])
redis.call("HDEL", KEYS[2], "id", "refusals")
if redis.call("HGET", KEYS[1], "state") == "running" then
  redis.call("HSET", KEYS[1], "state", "done", "finished", ARGV[2])
  redis.call("EXPIRE", KEYS[1], ARGV[3])
end
return 1
