-- End a bulk job. Its entry in the due set stays until the audit trail has its end.
--
-- WHEN FULL  runs
-- KEYS  job, items, running, starters
-- ARGV  state (done or stopped), note (why it was stopped; ""), now_ms, retention_seconds
-- RETURNS  1 if it has ended, 0 if it had ended before
local found = redis.call("HMGET", job_key, "state", "digest", "starter")
if found[1] ~= "collecting" and found[1] ~= "running" then
  return 0
end
redis.call("UNLINK", items_key)
redis.call("HSET", job_key, "state", state, "finished", now_ms)
if note ~= "" then
  redis.call("HSET", job_key, "note", note)
end
redis.call("EXPIRE", job_key, retention_seconds)
redis.call("HDEL", running_key, found[2])
if found[3] and redis.call("HINCRBY", starters_key, found[3], -1) <= 0 then
  redis.call("HDEL", starters_key, found[3])
end
return 1
