-- The dispatch decision: take queued generations, each with a slot of the account and one of its tenant, while there
-- are slots and dispatch is not held. The next is the best-ranked of the tenant that has been given least for its
-- weight. A claim whose worker died between claim and submit still has its slots: it is given again, before all others.
--
-- Under way are the generations from their claim to the known outcome of their submit, or until that must be known. Few
-- are at first and while submits fail, one more with each accepted: one bad second makes few generations doubtful.
-- While the account or a tenant is held, one generation at a time probes: one that was never refused if there is any.
--
-- USES  fair
-- WHEN FULL  runs
-- KEYS  due_dispatch, nudged_dispatch, slots, claimed, active_tenants, idle_tenants, virtual_time, delayed, gate,
--       submits_under_way, closed_gates, unconfirmed
-- ARGV  now_ms, limit (generations of this claim), lease_end_ms, slot_limit (of the account), tenant_prefix (of
--       tenants' keys), generation_prefix (of generations' keys), next_probe_ms (if this claim's worker dies),
--       first_window, largest_window (of submits under way; "": no limit), under_way_until_ms (until then a claim
--       counts as under way), unconfirmed_limit (slots that unconfirmed generations use at most)
-- RETURNS  {generations still queued, 1 when there is more to look at, id, ms it is due since, id, ms, ...}
local LOOKS = 500
local TENANTS_TO_PROBE = 50
local IDLE_MS = 60000
redis.call("DEL", nudged_dispatch_key)
local now = tonumber(now_ms)

local gate = redis.call("HMGET", gate_key, "paused", "shut", "fresh_at", "taken", "window", "taken_at", "held")

-- A held tenant whose next probe is due is looked at again. The gate says whether there is any: a command less.
local any_held = gate[7] and redis.call("EXISTS", closed_gates_key) == 1
if gate[7] and not any_held then
  redis.call("HDEL", gate_key, "held")
end

-- Submits that may be under way; a while without an accepted one says nothing of fal any more.
local function window()
  local size, first = tonumber(gate[5] or first_window), tonumber(first_window)
  if size > first and now - tonumber(gate[6] or 0) > IDLE_MS then
    redis.call("HSET", gate_key, "window", first)
    size = first
  end
  return math.min(size, tonumber(largest_window))
end

-- How many more may be under way. Entries of dead workers are looked for only where they stand in the way.
local function window_left()
  if largest_window == "" then
    return math.huge
  end
  local size, under_way = window(), redis.call("HLEN", submits_under_way_key)
  if under_way >= size then
    local found = redis.call("HGETALL", submits_under_way_key)
    for n = 1, #found, 2 do
      if tonumber(string.match(found[n + 1], " (%d+)$")) <= now then
        under_way = under_way - redis.call("HDEL", submits_under_way_key, found[n])
      end
    end
  end
  return size - under_way
end

-- Slots that are free. Those of unconfirmed generations beyond their share count as free: fal hardly has these jobs.
local function slots_left()
  local used = redis.call("SCARD", slots_key)
  local left = slot_limit - used
  if left < tonumber(limit) and redis.call("EXISTS", unconfirmed_key) == 1 then
    local doubtful = 0
    local ids = redis.call("ZREVRANGE", unconfirmed_key, 0, LOOKS - 1)
    for _, found in ipairs(redis.call("SMISMEMBER", slots_key, unpack(ids))) do
      doubtful = doubtful + found
    end
    left = left + math.max(0, doubtful - tonumber(unconfirmed_limit))
  end
  return left
end

-- Where the value after the text of a key begins in a tenant's record; nil when the record has no such text. Three such
-- searches take 0.3 us, a decode of the whole record 3.2 us. The record is compact JSON: a quote inside of a string is
-- escaped, so text that ends with a quote and a colon is the end of a key; no other key of the record ends with it.
local function value_at(record, key)
  local _, last = string.find(record, key, 1, true)
  return last and last + 1
end

local known = {}
local function terms(tenant)
  if not known[tenant] then
    local record = redis.call("GET", tenant_prefix .. tenant) or ""
    local weight, slots = value_at(record, 'weight":'), value_at(record, 'concurrent_generations":')
    known[tenant] = {
      weight = weight and tonumber(string.match(record, "^%d+", weight)) or 1,
      slots = slots and tonumber(string.match(record, "^%d+", slots)),
      paused = value_at(record, 'paused":{'),
    }
  end
  return known[tenant]
end

local function may(tenant)
  local its = terms(tenant)
  return not its.paused and not (its.slots and redis.call("SCARD", tenant_prefix .. tenant .. ":slots") >= its.slots)
end

-- The generation of a tenant that is to probe: the first that was never refused among the first or the last of its
-- queue, in turns, else its first. With whether it was refused; nil where none may go now.
local function candidate(tenant, tries)
  local queued = tenant_prefix .. tenant .. ":queued"
  local first, last = redis.call("ZRANGE", queued, 0, 9, "WITHSCORES"), redis.call("ZREVRANGE", queued, 0, 9, "WITHSCORES")
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

-- Of a tenant that is held by itself: a probe where one is due, else nil.
local function probe_of(tenant)
  local gate = tenant_prefix .. tenant .. ":gate"
  local state = redis.call("HMGET", gate, "retry_at", "fresh_at", "tries")
  local id, refused = candidate(tenant, tonumber(state[3] or 0))
  local at = tonumber(state[refused and 1 or 2] or 0)
  if id and now >= at then
    redis.call("ZREM", tenant_prefix .. tenant .. ":queued", id)
    redis.call("HSET", gate, "probe", id, "retry_at", next_probe_ms, "fresh_at", next_probe_ms)
    redis.call("ZADD", closed_gates_key, next_probe_ms, tenant)
    return id
  elseif id then
    redis.call("ZADD", closed_gates_key, string.format("%.0f", at), tenant)
  elseif now >= tonumber(state[1] or 0) and redis.call("EXISTS", tenant_prefix .. tenant .. ":queued") == 0 then
    redis.call("ZREM", closed_gates_key, tenant) -- nothing can probe; what comes next may go, and its failure holds at once
  end
  return nil
end

-- Take the tenant's next generation out of its queue; nil when it has none that may go now.
local function pop(tenant)
  if not may(tenant) then
    return nil
  elseif any_held and redis.call("ZSCORE", closed_gates_key, tenant) then
    return probe_of(tenant)
  end
  local first = redis.call("ZPOPMIN", tenant_prefix .. tenant .. ":queued")
  if first[1] and tonumber(first[2]) >= WAITING then
    redis.call("ZADD", tenant_prefix .. tenant .. ":queued", first[2], first[1])
    return nil
  end
  return first[1]
end

-- The generations in `fresh` enter slots_key and leave due_dispatch_key at the end, with one command each: the loop
-- reads neither.
local taken, fresh, present = {}, {}, nil
local function take(tenant, given, id)
  redis.call("SADD", tenant_prefix .. tenant .. ":slots", id)
  present = given
  fresh[#fresh + 1] = id
  redis.call("ZADD", active_tenants_key, string.format("%.17g", given + 1 / terms(tenant).weight), tenant)
  taken[#taken + 1] = id
  taken[#taken + 1] = now_ms
end

local rested = false
local function rest(tenant, given)
  rested = true
  redis.call("ZREM", active_tenants_key, tenant)
  redis.call("ZADD", idle_tenants_key, given, tenant)
end

-- While the account is held: one generation that was never refused, of another tenant than the last probe, if there is.
local function probe()
  local state = redis.call("HMGET", gate_key, "retry_at", "fresh_at", "tries", "probed")
  local found = {}
  local names = redis.call("ZRANGE", active_tenants_key, 0, TENANTS_TO_PROBE - 1, "WITHSCORES")
  for n = 1, #names, 2 do
    local id, refused
    if may(names[n]) then
      id, refused = candidate(names[n], tonumber(state[3] or 0))
    end
    if id then
      local class = (refused and 3 or 1) + (names[n] == state[4] and 1 or 0)
      found[class] = found[class] or {names[n], names[n + 1], id, refused}
    else
      rest(names[n], names[n + 1])
    end
    if found[1] then
      break
    end
  end
  local best = found[1] or found[2] or found[3] or found[4]
  if best and now >= tonumber(state[best[4] and 1 or 2] or 0) then
    redis.call("ZREM", tenant_prefix .. best[1] .. ":queued", best[3])
    redis.call("HSET", gate_key, "probed", best[1])
    take(best[1], best[2], best[3])
  end
end

-- Lua makes every function of a script anew at each run: a step that has one caller is no function.
for _, id in ipairs(redis.call("ZRANGEBYSCORE", delayed_key, "-inf", now_ms, "LIMIT", 0, LOOKS)) do
  local queue = redis.call("HMGET", generation_prefix .. id, "t", "q")
  redis.call("ZREM", delayed_key, id)
  if queue[1] then
    redis.call("ZADD", tenant_prefix .. queue[1] .. ":queued", "XX", queue[2], id)
    enter(active_tenants_key, idle_tenants_key, virtual_time_key, queue[1])
  end
end
if any_held then
  for _, tenant in ipairs(redis.call("ZRANGEBYSCORE", closed_gates_key, "-inf", now_ms, "LIMIT", 0, LOOKS)) do
    enter(active_tenants_key, idle_tenants_key, virtual_time_key, tenant)
  end
end
local most, shut = tonumber(limit), gate[2]
if gate[1] then
  most = 0
elseif shut then
  most = now >= tonumber(gate[3] or 0) and 1 or 0
end
local stale = {}
if most > 0 then
  stale = redis.call("ZRANGEBYSCORE", claimed_key, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, most)
end
for n = 1, #stale, 2 do
  redis.call("HDEL", submits_under_way_key, stale[n])
end
local left = window_left()
for n = 1, math.min(#stale, 2 * math.max(left, 0)) do
  taken[n] = stale[n]
end
local looks = 0
local slots = most > 0 and slots_left() or 0
local room = math.min(most - #taken / 2, left - #taken / 2, slots)
if shut and room > 0 then
  probe()
  room = 0
end
while room > 0 and looks < LOOKS do
  looks = looks + 1
  local first = redis.call("ZRANGE", active_tenants_key, 0, 0, "WITHSCORES")
  local tenant, given = first[1], first[2]
  if not tenant then
    break
  end
  local id = pop(tenant)
  if id then
    take(tenant, given, id)
    room = room - 1
  else
    rest(tenant, given)
  end
end
if present then
  redis.call("SADD", slots_key, unpack(fresh))
  redis.call("ZREM", due_dispatch_key, unpack(fresh))
  redis.call("SET", virtual_time_key, present)
end
if rested or #taken == 0 then -- nothing else makes it longer
  redis.call("ZREMRANGEBYSCORE", idle_tenants_key, "-inf", "(" .. (present or redis.call("GET", virtual_time_key) or "0"))
end
if left <= #taken / 2 and most > #taken / 2 then -- whichever outcome makes room asks for another look
  redis.call("HSET", gate_key, "limited", 1)
end
if #taken > 0 then
  local mark = (gate[4] or 0) .. " " .. under_way_until_ms
  local leases, marks = {}, {}
  for n = 1, #taken, 2 do
    leases[n], leases[n + 1] = lease_end_ms, taken[n]
    marks[n], marks[n + 1] = taken[n], mark
  end
  redis.call("ZADD", claimed_key, unpack(leases))
  redis.call("HSET", submits_under_way_key, unpack(marks))
  if shut then
    redis.call("HSET", gate_key, "probe", taken[1], "retry_at", next_probe_ms, "fresh_at", next_probe_ms)
  end
end
table.insert(taken, 1, redis.call("ZCARD", due_dispatch_key))
table.insert(taken, 2, looks == LOOKS and 1 or 0)
return taken
