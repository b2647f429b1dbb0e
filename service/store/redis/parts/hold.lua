-- Closing and opening the gate of the account or of one tenant, for the scripts that name this part under USES.
--
-- `gate` is the gate's hash. Until a submit is accepted, only single probes are sent: a generation that was never
-- refused from `fresh_at` on, any generation from `retry_at` on. Each failed probe doubles the wait. After a probe with
-- a generation that had been refused before, only the wait for such generations doubles: the cause may be that
-- generation itself. Returns `fresh_at`.
local function hold(gate, cause, reason, now, first_wait, longest_wait, refused_before)
  local tries = redis.call("HINCRBY", gate, "tries", 1)
  local wait = math.min(first_wait * 2 ^ math.min(tries - 1, 30), longest_wait)
  local retry_at = string.format("%.0f", now + wait)
  local fresh_at = refused_before and string.format("%.0f", now + first_wait) or retry_at
  redis.call("HSET", gate, "cause", cause, "reason", reason, "retry_at", retry_at, "fresh_at", fresh_at)
  redis.call("HSETNX", gate, "since", string.format("%.0f", now))
  redis.call("HDEL", gate, "probe", "closed_by")
  return fresh_at
end

-- Open the gates of all tenants: the tenants return to the dispatch order. `prefix` is the one of tenants' keys.
local function release(closed_gates, active, idle, virtual_time, prefix)
  for _, tenant in ipairs(redis.call("ZRANGE", closed_gates, 0, -1)) do
    redis.call("DEL", prefix .. tenant .. ":gate")
    enter(active, idle, virtual_time, tenant)
  end
  redis.call("DEL", closed_gates)
end

