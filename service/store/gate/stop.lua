-- Pause dispatch, or begin a drain, until an operator resumes.
--
-- WHEN FULL  runs
-- KEYS  gate, closed_gates
-- ARGV  stop ("paused" or "draining"), reason, now_ms
-- RETURNS  {pause reason, drain reason, cause, reason, tenants with a closed gate} before; nil for what did not exist
local before = redis.call("HMGET", gate_key, "paused", "draining", "cause", "reason")
before[5] = redis.call("ZCARD", closed_gates_key)
redis.call("HSET", gate_key, stop, reason)
if stop == "paused" then
  redis.call("HSET", gate_key, "paused_at", now_ms)
end
return before
