-- Read why the dispatch gate is closed, and what evidence of failures there is. Changes nothing.
--
-- WHEN FULL  reads
-- KEYS  gate, paused_tenants, closed_gates, failed_submits, active_tenants
-- ARGV  tenant_prefix (of tenants' keys)
-- RETURNS  {pause reason, ms of the pause, drain reason, cause, reason, ms since, ms of the next probe, submit window,
--          paused tenants, tenants with a closed gate, generations and tenants with evidence, {ids of tenants with a
--          closed gate, CLOSED_READ at most}}; nil for what does not exist
local TENANTS_READ = 100
local CLOSED_READ = 1000
local state = redis.call(
  "HMGET", gate_key, "paused", "paused_at", "draining", "cause", "reason", "since", "retry_at", "window"
)

-- If every tenant with work has its own gate closed, nothing is dispatched either.
local function is_every_gate_closed()
  for _, tenant in ipairs(redis.call("ZRANGE", active_tenants_key, 0, TENANTS_READ - 1)) do
    if not redis.call("ZSCORE", closed_gates_key, tenant) then
      return false
    end
  end
  return true
end

local closed = redis.call("ZRANGE", closed_gates_key, 0, CLOSED_READ - 1)
local first_closed = closed[1]
if first_closed and not state[4] and is_every_gate_closed() then
  local own = redis.call("HMGET", tenant_prefix .. first_closed .. ":gate", "cause", "reason", "since", "retry_at")
  for n = 1, 4 do
    state[3 + n] = own[n]
  end
end
local generations, tenants, seen = 0, 0, {}
for _, member in ipairs(redis.call("ZRANGE", failed_submits_key, 0, -1)) do
  local tenant = string.match(member, "^([^:]*):")
  generations = generations + 1
  if not seen[tenant] then
    seen[tenant] = true
    tenants = tenants + 1
  end
end
state[9] = redis.call("SCARD", paused_tenants_key)
state[10] = #closed < CLOSED_READ and #closed or redis.call("ZCARD", closed_gates_key)
state[11] = generations
state[12] = tenants
state[13] = closed
return state
