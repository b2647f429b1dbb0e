-- Holding the submits of the account or of one tenant, for the scripts that name this part under USES. `gate` is its
-- hash. Until a submit is accepted, probes go alone: a generation that was never refused at `fresh_at`, any at `retry_at`.
--
-- Each failed probe doubles the wait. After a probe that had been refused before, only the wait for refused ones doubles:
-- its failure may be its own.
local function hold(gate, kind, why, now, first, longest, refused)
  local tries = redis.call("HINCRBY", gate, "tries", 1)
  local wait = math.min(first * 2 ^ math.min(tries - 1, 30), longest)
  local retry_at = string.format("%.0f", now + wait)
  local fresh_at = refused and string.format("%.0f", now + first) or retry_at
  redis.call("HSET", gate, "shut", kind, "why", why, "retry_at", retry_at, "fresh_at", fresh_at)
  redis.call("HSETNX", gate, "since", string.format("%.0f", now))
  redis.call("HDEL", gate, "probe", "by")
  return fresh_at
end

-- Give tenants that are held back to the fair order; `prefix`: of tenants' keys.
local function release(held, fair, resting, present, prefix)
  for _, tenant in ipairs(redis.call("ZRANGE", held, 0, -1)) do
    redis.call("DEL", prefix .. tenant .. ":gate")
    enter(fair, resting, present, tenant)
  end
  redis.call("DEL", held)
end

