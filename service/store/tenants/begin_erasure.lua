-- Begin the erasure of an end user, or join the one that is running. From here on the erasure is durable: the sweep
-- continues it if the process that began it dies.
--
-- WHEN FULL  runs
-- KEYS  erasure, end_user, end_user_generations, tenant, due_sweep
-- ARGV  job_name (of the erasure in the due set), now_ms, sweep_ms (when the sweep continues it)
-- RETURNS  "begun"  "running"  "unknown": there is no name, no block and no generation of the end user  "gone": the
--          tenant was deleted
if redis.call("EXISTS", tenant_key) == 0 then
  return "gone"
end
if redis.call("HGET", erasure_key, "state") == "running" then
  return "running"
end
local known = redis.call("HMGET", end_user_key, "id", "blocked")
if not known[1] and not known[2] and redis.call("ZCARD", end_user_generations_key) == 0 then
  return "unknown"
end
redis.call("DEL", erasure_key)
redis.call("HSET", erasure_key, "state", "running", "started", now_ms)
redis.call("ZADD", due_sweep_key, sweep_ms, job_name)
return "begun"
