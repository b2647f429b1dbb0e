-- Why dispatch is held, and what is known against fal. Changes nothing.
--
-- WHEN FULL  reads
-- KEYS  1 gate  2 paused  3 held  4 failed  5 fair
-- ARGV  1 prefix of tenants' keys
-- RETURNS  {paused, ms since, draining, kind of the hold, why, ms since, ms of the next probe, submits under way at most,
--          paused tenants, held tenants, generations and tenants with evidence}; nil for what there is none of
local LOOKS = 100
local state = redis.call(
  "HMGET", KEYS[1], "paused", "paused_at", "draining", "shut", "why", "since", "retry_at", "window"
)

-- Nothing is dispatched either where every tenant that has work is held by itself.
local function only_held()
  for _, tenant in ipairs(redis.call("ZRANGE", KEYS[5], 0, LOOKS - 1)) do
    if not redis.call("ZSCORE", KEYS[3], tenant) then
      return false
    end
  end
  return true
end

local held = redis.call("ZRANGE", KEYS[3], 0, 0)[1]
if held and not state[4] and only_held() then
  local own = redis.call("HMGET", ARGV[1] .. held .. ":gate", "shut", "why", "since", "retry_at")
  for n = 1, 4 do
    state[3 + n] = own[n]
  end
end
local generations, tenants, known = 0, 0, {}
for _, member in ipairs(redis.call("ZRANGE", KEYS[4], 0, -1)) do
  local tenant = string.match(member, "^([^:]*):")
  generations = generations + 1
  if not known[tenant] then
    known[tenant] = true
    tenants = tenants + 1
  end
end
state[9] = redis.call("SCARD", KEYS[2])
state[10] = redis.call("ZCARD", KEYS[3])
state[11] = generations
state[12] = tenants
return state
