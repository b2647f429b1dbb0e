-- Note the outcome of a generation's submit: what it says about the next submits of the account and of its tenant.
--
-- Evidence is the set of distinct generations whose submit failed since the last accepted one. A tenant is held by the
-- failures of several of its generations since its own last accepted submit, or by one lock (401, 403). The account is
-- held when generations of two tenants show the same. A generation that is refused again although others were accepted
-- since its first refusal is no evidence, and a submit that was claimed before the last accepted one is none either: the
-- gate counts accepted submits, and a claim keeps the count it has seen, so no clock decides this.
--
-- USES  fair
-- USES  hold
-- WHEN FULL  runs
-- KEYS  1 gate  2 failed  3 under_way  4 held  5 generation  6 failed of the tenant  7 gate of the tenant  8 fair
--       9 resting  10 present  11 locked_polls
-- ARGV  1 "taken", "answered" (about its body), "refused", "locked", "unsent" or "unknown"  2 ms now  3 generation
--       4 tenant  5 failures of distinct generations that hold dispatch  6 reason  7 ms to wait before the first probe
--       8 ms to wait at most  9 submits under way at first  10 at most  11 prefix of tenants' keys
-- RETURNS  {"opened", "shut" (the account), "held" (the tenant) or "", refusals of this generation while others were
--          accepted, 1 when dispatch may take what the limit of submits under way kept back}
local MOST_EVIDENCE = math.max(200, tonumber(ARGV[5]))
local DAY = 86400
local now, signal, id, tenant = tonumber(ARGV[2]), ARGV[1], ARGV[3], ARGV[4]
local member = tenant .. ":" .. id
local state = redis.call("HMGET", KEYS[1], "taken", "window", "shut", "probe", "limited", "held")
local taken, window, shut = tonumber(state[1] or 0), tonumber(state[2] or ARGV[9]), state[3]
local wanted = state[5] and redis.call("HDEL", KEYS[1], "limited") or 0
local claimed = signal ~= "taken" and redis.call("HGET", KEYS[3], id)
redis.call("HDEL", KEYS[3], id)

-- Held tenants may probe at once, the first time that another's submit shows fal to be well.
local function probe_again()
  for _, name in ipairs(redis.call("ZRANGE", KEYS[4], 0, 99)) do
    local gate = ARGV[11] .. name .. ":gate"
    if redis.call("HEXISTS", gate, "probe") == 0 and redis.call("HSETNX", gate, "own", 1) == 1 then
      redis.call("HSET", gate, "retry_at", ARGV[2], "fresh_at", ARGV[2])
      redis.call("ZADD", KEYS[4], ARGV[2], name)
      enter(KEYS[8], KEYS[9], KEYS[10], name)
    end
  end
end

local function accept()
  window = math.min(window + 1, tonumber(ARGV[10]))
  redis.call("HSET", KEYS[1], "taken", taken + 1, "taken_at", ARGV[2], "window", window)
  redis.call("DEL", KEYS[2], KEYS[6], KEYS[7], KEYS[11])
  redis.call("HDEL", KEYS[5], "r")
  if shut then
    redis.call("HDEL", KEYS[1], "shut", "why", "since", "retry_at", "fresh_at", "tries", "probe", "probed", "by")
  end
  local freed = state[6] and redis.call("ZREM", KEYS[4], tenant) == 1
  if freed then
    enter(KEYS[8], KEYS[9], KEYS[10], tenant)
  end
  if state[6] then
    probe_again()
  end
  return (shut or freed) and "opened" or ""
end

-- A probe that fal refused for its body tells nothing of the others: the next probe goes at once.
local function pass_on(gate)
  if redis.call("HGET", gate, "probe") == id then
    redis.call("HDEL", gate, "probe")
    redis.call("HSET", gate, "retry_at", ARGV[2], "fresh_at", ARGV[2])
    return true
  end
end

if signal == "taken" then
  return {accept(), 0, wanted}
elseif signal == "answered" then
  local again = pass_on(KEYS[1])
  if pass_on(KEYS[7]) then
    redis.call("ZADD", KEYS[4], "XX", ARGV[2], tenant)
    again = true
  end
  return {"", 0, again and 1 or wanted}
end

local current = not claimed or tonumber(string.match(claimed, "^%d+")) == taken
local mark = redis.call("HGET", KEYS[5], "r")
local before = mark and {string.match(mark, "^(%d+) (%d+) (%d+)$")}
local outweighed = before and taken > tonumber(before[1])
-- 0: it failed, and proves nothing; 1: a failure; 2: the lock of the account
local weight = 1
if signal ~= "unknown" and outweighed then
  weight = 0
elseif signal == "locked" and not before then
  weight = 2
end
if current then
  if redis.call("ZCARD", KEYS[2]) < MOST_EVIDENCE then
    redis.call("ZADD", KEYS[2], "GT", weight, member)
  end
  if redis.call("ZCARD", KEYS[6]) < MOST_EVIDENCE then
    redis.call("ZADD", KEYS[6], "GT", weight, id)
  end
  redis.call("EXPIRE", KEYS[2], DAY)
  redis.call("EXPIRE", KEYS[6], DAY)
else
  weight = 0
end
if weight > 0 or signal == "unknown" then
  redis.call("HSET", KEYS[1], "window", 1)
end

local others, strangers = 0, 0 -- generations with evidence but this one, and those of other tenants
local generations, tenants, lockers = 0, {}, {}
local found = redis.call("ZRANGE", KEYS[2], 0, -1, "WITHSCORES")
for n = 1, #found, 2 do
  local owner = string.match(found[n], "^([^:]*):")
  others = others + (found[n] ~= member and 1 or 0)
  strangers = strangers + (owner ~= tenant and 1 or 0)
  if tonumber(found[n + 1]) > 0 then
    generations = generations + 1
    tenants[owner] = true
  end
  if tonumber(found[n + 1]) > 1 then
    lockers[owner] = true
  end
end
local function several(names)
  local first = next(names)
  return first ~= nil and next(names, first) ~= nil
end

-- Refused while others are accepted, and while no other tenant's submits fail: then it is this generation.
local refusals = 0
if signal == "refused" or signal == "locked" then
  local first = before and before[1] or taken
  if before then
    refusals = tonumber(before[3])
    if strangers == 0 and (taken > tonumber(before[2]) or (outweighed and others == 0)) then
      refusals = refusals + 1
    end
  end
  if redis.call("HEXISTS", KEYS[5], "v") == 1 then
    redis.call("HSET", KEYS[5], "r", first .. " " .. taken .. " " .. refusals)
  end
end

local kind = signal == "locked" and "locked" or "failing"
local function shut_gate(gate)
  return hold(gate, kind, ARGV[6], now, tonumber(ARGV[7]), tonumber(ARGV[8]), before)
end
if shut then
  if state[4] == id then
    shut_gate(KEYS[1])
  end
  return {"", refusals, wanted}
end
if weight > 0 and (several(lockers) or (generations >= tonumber(ARGV[5]) and several(tenants))) then
  shut_gate(KEYS[1])
  release(KEYS[4], KEYS[8], KEYS[9], KEYS[10], ARGV[11])
  return {"shut", refusals, wanted}
end
local own = redis.call("HMGET", KEYS[7], "shut", "probe")
local held = redis.call("ZSCORE", KEYS[4], tenant)
local enough = weight == 2 or (weight == 1 and redis.call("ZCOUNT", KEYS[6], 1, "+inf") >= tonumber(ARGV[5]))
if own[2] == id or (enough and not held) then
  redis.call("ZADD", KEYS[4], shut_gate(KEYS[7]), tenant)
  redis.call("HSET", KEYS[1], "held", 1)
  redis.call("EXPIRE", KEYS[7], DAY)
  return {held and "" or "held", refusals, wanted}
end
return {"", refusals, wanted}
