-- Open the gate of the account and the gates of all tenants, and delete the evidence of failures.
--
-- USES  fair
-- USES  hold
-- WHEN FULL  runs
-- KEYS  gate, failed_submits, locked_polls, closed_gates, active_tenants, idle_tenants, virtual_time
-- ARGV  tenant_prefix (of tenants' keys)
-- RETURNS  {pause reason, drain reason, cause, reason, tenants with a closed gate} before; nil for what did not exist
local before = redis.call("HMGET", gate_key, "paused", "draining", "cause", "reason")
before[5] = redis.call("ZCARD", closed_gates_key)
for _, tenant in ipairs(redis.call("ZRANGE", closed_gates_key, 0, -1)) do
  redis.call("DEL", tenant_prefix .. tenant .. ":failed_submits")
end
redis.call("DEL", gate_key, failed_submits_key, locked_polls_key)
release(closed_gates_key, active_tenants_key, idle_tenants_key, virtual_time_key, tenant_prefix)
return before
