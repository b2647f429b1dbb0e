-- End an erasure, unless the end user has a generation left: one that was created while the others were erased.
-- Everything that was created before this script runs has then been erased, and the name with it; what is created later
-- is a new use.
--
-- WHEN FULL  runs
-- KEYS  erasure, end_user, end_users, end_user_names, end_user_generations, due_sweep
-- ARGV  job_name (of the erasure in the due set), now_ms, retention_seconds (of the record of the erasure)
-- RETURNS  1 if it has ended, 0 if a generation is left
if redis.call("ZCARD", end_user_generations_key) > 0 then
  return 0
end
redis.call("ZREM", due_sweep_key, job_name)
local name = redis.call("HGET", end_user_key, "id")
if name then
  redis.call("ZREM", end_users_key, name)
  redis.call("ZREM", end_user_names_key, name)
end
redis.call("HDEL", end_user_key, "id", "refusals", "block_reason")
if redis.call("HGET", erasure_key, "state") == "running" then
  redis.call("HSET", erasure_key, "state", "done", "finished", now_ms)
  redis.call("EXPIRE", erasure_key, retention_seconds)
end
return 1
