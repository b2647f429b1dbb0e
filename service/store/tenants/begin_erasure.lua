-- Begin to erase an end user, or join the erasure that is running. It is durable from here on: the sweep continues it if
-- the process that began it dies.
--
-- WHEN FULL  runs
-- KEYS  1 erasure  2 the end user  3 its generations  4 the tenant  5 due:sweep
-- ARGV  1 name of the erasure in the due set  2 ms now  3 ms when the sweep continues it
-- RETURNS  "begun", "running", "unknown" where neither a name, a block nor a generation is kept, or "gone" when the
--          tenant was deleted
if redis.call("EXISTS", KEYS[4]) == 0 then
  return "gone"
end
if redis.call("HGET", KEYS[1], "state") == "running" then
  return "running"
end
local known = redis.call("HMGET", KEYS[2], "id", "blocked")
if not known[1] and not known[2] and redis.call("ZCARD", KEYS[3]) == 0 then
  return "unknown"
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], "state", "running", "started", ARGV[2])
redis.call("ZADD", KEYS[5], ARGV[3], ARGV[1])
return "begun"
