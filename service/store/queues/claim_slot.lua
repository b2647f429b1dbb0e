-- The dispatch decision: claim queued generations, each with a slot of the account and one of its tenant, while there
-- are slots and the gate is open. The next generation is the first one of the tenant with the least virtual time. A
-- claim whose worker died before the submit still has its slots: it is claimed again, before all others.
--
-- A generation is under way from its claim until the outcome of its submit is known or has to be known. The submit
-- window limits them: it is small at first and while submits fail, and grows by one with each accepted submit, so that
-- one bad second leaves few generations unconfirmed. While the gate of the account or of a tenant is closed, one
-- generation at a time probes: one that was never refused, if there is any.
--
-- USES  fair
-- WHEN FULL  runs
-- KEYS  due_dispatch, nudged_dispatch, slots, claimed, active_tenants, idle_tenants, virtual_time, delayed, gate,
--       submits_under_way, closed_gates, unconfirmed
-- ARGV  now_ms, limit (generations of this claim), lease_end_ms, slot_limit (of the account), tenant_prefix (of
--       tenants' keys), generation_prefix (of generations' keys), next_probe_ms (if this claim's worker dies),
--       first_window, largest_window (of submits under way; "": no limit), under_way_until_ms (until then a claim
--       counts as under way), unconfirmed_limit (slots that unconfirmed generations use at most)
-- RETURNS  {generations still queued, 1 if another claim may find something, id, ms at which it was due, id, ms, ...}
local MOST_STEPS = 500
local TENANTS_TO_PROBE = 50
local IDLE_MS = 60000
redis.call("DEL", nudged_dispatch_key)
local now = tonumber(now_ms)

local gate = redis.call(
  "HMGET", gate_key, "paused", "cause", "fresh_at", "accepted", "window", "accepted_at", "any_closed"
)

-- The field "any_closed" of the gate says whether a tenant's gate may be closed: one command less where none is.
local any_closed = gate[7] and redis.call("EXISTS", closed_gates_key) == 1
if gate[7] and not any_closed then
  redis.call("HDEL", gate_key, "any_closed")
end

-- Lua creates every function of a script again at each call, so they come after the cases in which nothing is claimed,
-- and a step with one caller is no function.
for _, id in ipairs(redis.call("ZRANGEBYSCORE", delayed_key, "-inf", now_ms, "LIMIT", 0, MOST_STEPS)) do
  local queue = redis.call("HMGET", generation_prefix .. id, "t", "q")
  redis.call("ZREM", delayed_key, id)
  if queue[1] then
    redis.call("ZADD", tenant_prefix .. queue[1] .. ":queued", "XX", queue[2], id)
    enter(active_tenants_key, idle_tenants_key, virtual_time_key, queue[1])
  end
end
if any_closed then
  for _, tenant in ipairs(redis.call("ZRANGEBYSCORE", closed_gates_key, "-inf", now_ms, "LIMIT", 0, MOST_STEPS)) do
    enter(active_tenants_key, idle_tenants_key, virtual_time_key, tenant)
  end
end
local most, closed = tonumber(limit), gate[2]
if gate[1] then
  most = 0
elseif closed then
  most = now >= tonumber(gate[3] or 0) and 1 or 0
end
local stale, slots = {}, 0
if most > 0 then
  stale = redis.call("ZRANGEBYSCORE", claimed_key, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, most)
  slots = slot_limit - redis.call("SCARD", slots_key)
  -- Slots of unconfirmed generations above their limit count as free: fal most likely does not have these jobs.
  if slots < tonumber(limit) and redis.call("EXISTS", unconfirmed_key) == 1 then
    local unconfirmed = 0
    local ids = redis.call("ZREVRANGE", unconfirmed_key, 0, MOST_STEPS - 1)
    for _, found in ipairs(redis.call("SMISMEMBER", slots_key, unpack(ids))) do
      unconfirmed = unconfirmed + found
    end
    slots = slots + math.max(0, unconfirmed - tonumber(unconfirmed_limit))
  end
end
local first = slots > 0 and redis.call("ZRANGE", active_tenants_key, 0, 0, "WITHSCORES") or {}
if #stale == 0 and not first[1] then
  return {redis.call("ZCARD", due_dispatch_key), 0}
end

-- How many more generations may be under way. After a while without an accepted submit the size of the submit window
-- says nothing about fal any more. Entries of dead workers are removed only when the window is full.
local left = math.huge
for n = 1, #stale, 2 do
  redis.call("HDEL", submits_under_way_key, stale[n])
end
if largest_window ~= "" then
  local size = tonumber(gate[5] or first_window)
  if size > tonumber(first_window) and now - tonumber(gate[6] or 0) > IDLE_MS then
    redis.call("HSET", gate_key, "window", first_window)
    size = tonumber(first_window)
  end
  left = math.min(size, tonumber(largest_window)) - redis.call("HLEN", submits_under_way_key)
  if left <= 0 then
    local found = redis.call("HGETALL", submits_under_way_key)
    for n = 1, #found, 2 do
      if tonumber(string.match(found[n + 1], " (%d+)$")) <= now then
        left = left + redis.call("HDEL", submits_under_way_key, found[n])
      end
    end
  end
end

-- Where the value after the text of a key begins in a tenant's record; nil if the record has no such text. Three such
-- searches take 0.3 us, a decode of the whole record takes 3.2 us. The record is compact JSON: a quote inside of a
-- string is escaped, so text that ends with a quote and a colon is the end of a key; no other key of the record ends
-- with it.
local function value_at(record, key)
  local _, last = string.find(record, key, 1, true)
  return last and last + 1
end

local limits = {}
local function limits_of(tenant)
  if not limits[tenant] then
    local record = redis.call("GET", tenant_prefix .. tenant) or ""
    local weight, slots = value_at(record, 'weight":'), value_at(record, 'concurrent_generations":')
    limits[tenant] = {
      weight = weight and tonumber(string.match(record, "^%d+", weight)) or 1,
      slots = slots and tonumber(string.match(record, "^%d+", slots)),
      paused = value_at(record, 'paused":{'),
    }
  end
  return limits[tenant]
end

local function may_dispatch(tenant)
  local own = limits_of(tenant)
  return not own.paused and not (own.slots and redis.call("SCARD", tenant_prefix .. tenant .. ":slots") >= own.slots)
end

-- The ids in `new` are added to the slots and removed from the due set at the end, with one command each: the loop
-- reads neither. `reached` is the virtual time of the tenant that was served last.
local claimed, new, reached = {}, {}, nil
local function claim(tenant, virtual_time, id)
  redis.call("SADD", tenant_prefix .. tenant .. ":slots", id)
  reached = virtual_time
  new[#new + 1] = id
  redis.call("ZADD", active_tenants_key, string.format("%.17g", virtual_time + 1 / limits_of(tenant).weight), tenant)
  claimed[#claimed + 1] = id
  claimed[#claimed + 1] = now_ms
end

local any_idled = false
local function make_idle(tenant, virtual_time)
  any_idled = true
  redis.call("ZREM", active_tenants_key, tenant)
  redis.call("ZADD", idle_tenants_key, virtual_time, tenant)
end

-- The probes of closed gates.
local pop_probe, claim_probe
if closed or any_closed then
  -- Choose a tenant's generation for a probe: one that was never refused, from the start and from the end of its queue
  -- in turns, otherwise the first one. Returns it and whether it was refused before; nil if all are delayed.
  local function choose_probe(tenant, tries)
    local queued = tenant_prefix .. tenant .. ":queued"
    local first = redis.call("ZRANGE", queued, 0, 9, "WITHSCORES")
    local last = redis.call("ZREVRANGE", queued, 0, 9, "WITHSCORES")
    local any
    for _, found in ipairs((tries or 0) % 2 == 0 and {first, last} or {last, first}) do
      for n = 1, #found, 2 do
        if tonumber(found[n + 1]) < WAITING then
          if redis.call("HEXISTS", generation_prefix .. found[n], "r") == 0 then
            return found[n], false
          end
          any = any or found[n]
        end
      end
    end
    return any, true
  end

  -- Claim the probe of a tenant with a closed gate, if one is due, otherwise nil.
  pop_probe = function(tenant)
    local gate = tenant_prefix .. tenant .. ":gate"
    local state = redis.call("HMGET", gate, "retry_at", "fresh_at", "tries")
    local id, refused = choose_probe(tenant, tonumber(state[3] or 0))
    local at = tonumber(state[refused and 1 or 2] or 0)
    if id and now >= at then
      redis.call("ZREM", tenant_prefix .. tenant .. ":queued", id)
      redis.call("HSET", gate, "probe", id, "retry_at", next_probe_ms, "fresh_at", next_probe_ms)
      redis.call("ZADD", closed_gates_key, next_probe_ms, tenant)
      return id
    elseif id then
      redis.call("ZADD", closed_gates_key, string.format("%.0f", at), tenant)
    elseif now >= tonumber(state[1] or 0) and redis.call("EXISTS", tenant_prefix .. tenant .. ":queued") == 0 then
      -- Nothing can probe: the next generation is dispatched, and if it fails, the gate closes again at once.
      redis.call("ZREM", closed_gates_key, tenant)
    end
    return nil
  end

  -- Claim a probe of the account's closed gate: preferably a generation that was never refused, of another tenant than
  -- the one of the last probe.
  claim_probe = function()
    local state = redis.call("HMGET", gate_key, "retry_at", "fresh_at", "tries", "last_probed")
    local found = {}
    local names = redis.call("ZRANGE", active_tenants_key, 0, TENANTS_TO_PROBE - 1, "WITHSCORES")
    for n = 1, #names, 2 do
      local id, refused
      if may_dispatch(names[n]) then
        id, refused = choose_probe(names[n], tonumber(state[3] or 0))
      end
      if id then
        local class = (refused and 3 or 1) + (names[n] == state[4] and 1 or 0)
        found[class] = found[class] or {names[n], names[n + 1], id, refused}
      else
        make_idle(names[n], names[n + 1])
      end
      if found[1] then
        break
      end
    end
    local best = found[1] or found[2] or found[3] or found[4]
    if best and now >= tonumber(state[best[4] and 1 or 2] or 0) then
      redis.call("ZREM", tenant_prefix .. best[1] .. ":queued", best[3])
      redis.call("HSET", gate_key, "last_probed", best[1])
      claim(best[1], best[2], best[3])
    end
  end
end

for n = 1, math.min(#stale, 2 * math.max(left, 0)) do
  claimed[n] = stale[n]
end
local steps = 0
local allowed = math.min(most - #claimed / 2, left - #claimed / 2, slots)
if closed and allowed > 0 then
  claim_probe()
  allowed = 0
end
while allowed > 0 and first[1] and steps < MOST_STEPS do
  steps = steps + 1
  local tenant, virtual_time = first[1], first[2]
  local id
  if may_dispatch(tenant) then
    if any_closed and redis.call("ZSCORE", closed_gates_key, tenant) then
      id = pop_probe(tenant)
    else
      local popped = redis.call("ZPOPMIN", tenant_prefix .. tenant .. ":queued")
      id = popped[1]
      if id and tonumber(popped[2]) >= WAITING then
        redis.call("ZADD", tenant_prefix .. tenant .. ":queued", popped[2], id)
        id = nil
      end
    end
  end
  if id then
    claim(tenant, virtual_time, id)
    allowed = allowed - 1
  else
    make_idle(tenant, virtual_time)
  end
  if allowed > 0 then
    first = redis.call("ZRANGE", active_tenants_key, 0, 0, "WITHSCORES")
  end
end
if reached then
  redis.call("SADD", slots_key, unpack(new))
  redis.call("ZREM", due_dispatch_key, unpack(new))
  redis.call("SET", virtual_time_key, reached)
end
if any_idled then -- otherwise the set of idle tenants is not longer than before
  local least = reached or redis.call("GET", virtual_time_key) or "0"
  redis.call("ZREMRANGEBYSCORE", idle_tenants_key, "-inf", "(" .. least)
end
if left <= #claimed / 2 and most > #claimed / 2 then -- the next outcome that frees the window wakes dispatch up
  redis.call("HSET", gate_key, "window_full", 1)
end
if #claimed > 0 then
  local mark = (gate[4] or 0) .. " " .. under_way_until_ms
  local leases, marks = {}, {}
  for n = 1, #claimed, 2 do
    leases[n], leases[n + 1] = lease_end_ms, claimed[n]
    marks[n], marks[n + 1] = claimed[n], mark
  end
  redis.call("ZADD", claimed_key, unpack(leases))
  redis.call("HSET", submits_under_way_key, unpack(marks))
  if closed then
    redis.call("HSET", gate_key, "probe", claimed[1], "retry_at", next_probe_ms, "fresh_at", next_probe_ms)
  end
end
table.insert(claimed, 1, redis.call("ZCARD", due_dispatch_key))
table.insert(claimed, 2, steps == MOST_STEPS and 1 or 0)
return claimed
