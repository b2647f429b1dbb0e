-- Record the outcome of a generation's submit: what it means for the next submits of the account and of its tenant.
--
-- Evidence is the set of distinct generations whose submit has failed since the last accepted submit. A tenant's gate
-- is closed by failures of several of its generations since its own last accepted submit, or by one lock (401, 403).
-- The account's gate is closed when generations of two tenants show the same. A generation that is refused again,
-- although others were accepted since its first refusal, is no evidence. A submit that was claimed before the last
-- accepted one is none either: the gate counts accepted submits, and a claim keeps the count that it has read, so no
-- clock decides this.
--
-- USES  fair
-- USES  hold
-- WHEN FULL  runs
-- KEYS  gate, failed_submits, submits_under_way, closed_gates, generation, tenant_failed_submits, tenant_gate,
--       active_tenants, idle_tenants, virtual_time, locked_polls
-- ARGV  outcome ("taken", "answered" about its body, "refused", "locked", "unsent" or "unknown"), now_ms,
--       generation_id, tenant_id, enough (failed generations that close a gate), reason, first_wait_ms (before the
--       first probe), longest_wait_ms, first_window, largest_window (of submits under way), tenant_prefix (of tenants'
--       keys)
-- RETURNS  {"opened", "shut" (the account), "held" (the tenant) or "", refusals of this generation while others were
--          accepted, 1 if dispatch may claim again because the submit window has room}
local MOST_EVIDENCE = math.max(200, tonumber(enough))
local DAY_SECONDS = 86400
local GATES_TO_PROBE = 100
local now = tonumber(now_ms)
local member = tenant_id .. ":" .. generation_id
local state = redis.call("HMGET", gate_key, "accepted", "window", "cause", "probe", "window_full", "any_closed")
local accepted, window, closed = tonumber(state[1] or 0), tonumber(state[2] or first_window), state[3]
local any_gate_closed = state[6]
local more = state[5] and redis.call("HDEL", gate_key, "window_full") or 0
local claim = outcome ~= "taken" and redis.call("HGET", submits_under_way_key, generation_id)
redis.call("HDEL", submits_under_way_key, generation_id)

-- After the first accepted submit of another tenant, which shows that fal works, each closed gate may probe at once.
local function let_closed_gates_probe()
  for _, name in ipairs(redis.call("ZRANGE", closed_gates_key, 0, GATES_TO_PROBE - 1)) do
    local gate = tenant_prefix .. name .. ":gate"
    if redis.call("HEXISTS", gate, "probe") == 0 and redis.call("HSETNX", gate, "probed_early", 1) == 1 then
      redis.call("HSET", gate, "retry_at", now_ms, "fresh_at", now_ms)
      redis.call("ZADD", closed_gates_key, now_ms, name)
      enter(active_tenants_key, idle_tenants_key, virtual_time_key, name)
    end
  end
end

local function accept()
  window = math.min(window + 1, tonumber(largest_window))
  redis.call("HSET", gate_key, "accepted", accepted + 1, "accepted_at", now_ms, "window", window)
  redis.call("DEL", failed_submits_key, tenant_failed_submits_key, tenant_gate_key, locked_polls_key)
  redis.call("HDEL", generation_key, "r")
  if closed then
    redis.call(
      "HDEL", gate_key, "cause", "reason", "since", "retry_at", "fresh_at", "tries", "probe", "last_probed", "closed_by"
    )
  end
  local opened = any_gate_closed and redis.call("ZREM", closed_gates_key, tenant_id) == 1
  if opened then
    enter(active_tenants_key, idle_tenants_key, virtual_time_key, tenant_id)
  end
  if any_gate_closed then
    let_closed_gates_probe()
  end
  return (closed or opened) and "opened" or ""
end

-- A probe that fal refused because of its body says nothing about other generations: the next probe is due now.
local function probe_again(gate)
  if redis.call("HGET", gate, "probe") == generation_id then
    redis.call("HDEL", gate, "probe")
    redis.call("HSET", gate, "retry_at", now_ms, "fresh_at", now_ms)
    return true
  end
end

if outcome == "taken" then
  return {accept(), 0, more}
elseif outcome == "answered" then
  local again = probe_again(gate_key)
  if probe_again(tenant_gate_key) then
    redis.call("ZADD", closed_gates_key, "XX", now_ms, tenant_id)
    again = true
  end
  return {"", 0, again and 1 or more}
end

local is_current = not claim or tonumber(string.match(claim, "^%d+")) == accepted
-- Earlier refusals of this generation: accepted submits at the first one, at the last one, and how many count.
local mark = redis.call("HGET", generation_key, "r")
local earlier = mark and {string.match(mark, "^(%d+) (%d+) (%d+)$")}
local others_accepted = earlier and accepted > tonumber(earlier[1])
-- 0: it failed, and proves nothing; 1: a failure; 2: the lock of the account
local weight = 1
if outcome ~= "unknown" and others_accepted then
  weight = 0
elseif outcome == "locked" and not earlier then
  weight = 2
end
if is_current then
  if redis.call("ZCARD", failed_submits_key) < MOST_EVIDENCE then
    redis.call("ZADD", failed_submits_key, "GT", weight, member)
  end
  if redis.call("ZCARD", tenant_failed_submits_key) < MOST_EVIDENCE then
    redis.call("ZADD", tenant_failed_submits_key, "GT", weight, generation_id)
  end
  redis.call("EXPIRE", failed_submits_key, DAY_SECONDS)
  redis.call("EXPIRE", tenant_failed_submits_key, DAY_SECONDS)
else
  weight = 0
end
if weight > 0 or outcome == "unknown" then
  redis.call("HSET", gate_key, "window", 1)
end

local other_generations, of_other_tenants = 0, 0 -- with evidence
local generations, tenants, locked_tenants = 0, {}, {}
local found = redis.call("ZRANGE", failed_submits_key, 0, -1, "WITHSCORES")
for n = 1, #found, 2 do
  local owner = string.match(found[n], "^([^:]*):")
  other_generations = other_generations + (found[n] ~= member and 1 or 0)
  of_other_tenants = of_other_tenants + (owner ~= tenant_id and 1 or 0)
  if tonumber(found[n + 1]) > 0 then
    generations = generations + 1
    tenants[owner] = true
  end
  if tonumber(found[n + 1]) > 1 then
    locked_tenants[owner] = true
  end
end
local function has_several(names)
  local first = next(names)
  return first ~= nil and next(names, first) ~= nil
end

-- A refusal counts against this generation if others were accepted and no other tenant's submits fail.
local refusals = 0
if outcome == "refused" or outcome == "locked" then
  local first = earlier and earlier[1] or accepted
  if earlier then
    refusals = tonumber(earlier[3])
    local last = tonumber(earlier[2])
    if of_other_tenants == 0 and (accepted > last or (others_accepted and other_generations == 0)) then
      refusals = refusals + 1
    end
  end
  if redis.call("HEXISTS", generation_key, "v") == 1 then
    redis.call("HSET", generation_key, "r", first .. " " .. accepted .. " " .. refusals)
  end
end

local cause = outcome == "locked" and "locked" or "failing"
local function close(gate)
  return hold(gate, cause, reason, now, tonumber(first_wait_ms), tonumber(longest_wait_ms), earlier)
end
if closed then
  if state[4] == generation_id then
    close(gate_key)
  end
  return {"", refusals, more}
end
local are_enough = generations >= tonumber(enough) and has_several(tenants)
if weight > 0 and (has_several(locked_tenants) or are_enough) then
  close(gate_key)
  release(closed_gates_key, active_tenants_key, idle_tenants_key, virtual_time_key, tenant_prefix)
  return {"shut", refusals, more}
end
local was_closed = redis.call("ZSCORE", closed_gates_key, tenant_id)
local function has_enough_failures()
  return redis.call("ZCOUNT", tenant_failed_submits_key, 1, "+inf") >= tonumber(enough)
end
local closes = weight == 2 or (weight == 1 and has_enough_failures())
if redis.call("HGET", tenant_gate_key, "probe") == generation_id or (closes and not was_closed) then
  redis.call("ZADD", closed_gates_key, close(tenant_gate_key), tenant_id)
  redis.call("HSET", gate_key, "any_closed", 1)
  redis.call("EXPIRE", tenant_gate_key, DAY_SECONDS)
  return {was_closed and "" or "held", refusals, more}
end
return {"", refusals, more}
