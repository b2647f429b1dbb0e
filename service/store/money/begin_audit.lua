-- Begin an audit that the sweep carries out, or join the one that is running. From here on the audit is durable.
--
-- WHEN FULL  runs
-- KEYS  audit, due_sweep
-- ARGV  job_name (of the audit in the due set), now_ms
-- RETURNS  1 if it was begun, 0 if one is running
if redis.call("HGET", audit_key, "state") == "running" then
  return 0
end
redis.call("DEL", audit_key)
redis.call("HSET", audit_key, "state", "running", "started", now_ms)
redis.call("ZADD", due_sweep_key, now_ms, job_name)
return 1
