-- The dispatch decision: take queued generations, each with a slot of the account and one of its tenant, while there
-- are slots and dispatch is not held. The next is the best-ranked of the tenant that has been given least for its
-- weight. A claim whose worker died between claim and submit still has its slots: it is given again, before all others.
--
-- USES  fair
-- KEYS  1 due:dispatch  2 nudged:dispatch  3 slots  4 claimed  5 fair  6 resting  7 present  8 delayed  9 gate
-- ARGV  1 ms now  2 most to take  3 ms when the lease ends  4 slots there are  5 prefix of tenants' keys
--       6 prefix of generations' keys  7 ms when the next probe may go if this one's worker dies
-- RETURNS  {generations still queued, 1 when there is more to look at, id, ms it is due since, id, ms, ...}
local LOOKS = 500
redis.call("DEL", KEYS[2])
local now = tonumber(ARGV[1])

local function due_again()
  for _, id in ipairs(redis.call("ZRANGEBYSCORE", KEYS[8], "-inf", ARGV[1], "LIMIT", 0, LOOKS)) do
    local queue = redis.call("HMGET", ARGV[6] .. id, "t", "q")
    redis.call("ZREM", KEYS[8], id)
    if queue[1] then
      redis.call("ZADD", ARGV[5] .. queue[1] .. ":queued", "XX", queue[2], id)
      enter(KEYS[5], KEYS[6], KEYS[7], queue[1])
    end
  end
end

local function allowed()
  local gate = redis.call("HMGET", KEYS[9], "paused", "shut", "retry_at")
  if gate[1] then
    return 0, false
  elseif not gate[2] then
    return tonumber(ARGV[2]), false
  end
  return now >= tonumber(gate[3]) and 1 or 0, true
end

local known = {}
local function terms(tenant)
  if not known[tenant] then
    local record = redis.call("GET", ARGV[5] .. tenant)
    local told = record and cjson.decode(record) or {limits = {}}
    local slots = tonumber(told.limits.concurrent_generations)
    known[tenant] = {weight = tonumber(told.limits.weight) or 1, slots = slots, paused = type(told.paused) == "table"}
  end
  return known[tenant]
end

-- Take the tenant's next generation out of its queue; nil when it has none that may go now.
local function pop(tenant)
  local its = terms(tenant)
  if its.paused or (its.slots and redis.call("SCARD", ARGV[5] .. tenant .. ":slots") >= its.slots) then
    return nil
  end
  local first = redis.call("ZPOPMIN", ARGV[5] .. tenant .. ":queued")
  if first[1] and tonumber(first[2]) >= WAITING then
    redis.call("ZADD", ARGV[5] .. tenant .. ":queued", first[2], first[1])
    return nil
  end
  return first[1]
end

due_again()
local most, probing = allowed()
local taken = {}
if most > 0 then
  taken = redis.call("ZRANGEBYSCORE", KEYS[4], "-inf", ARGV[1], "WITHSCORES", "LIMIT", 0, most)
end
local room = math.min(most - #taken / 2, ARGV[4] - redis.call("SCARD", KEYS[3]))
local looks = 0
while room > 0 and looks < LOOKS do
  looks = looks + 1
  local first = redis.call("ZRANGE", KEYS[5], 0, 0, "WITHSCORES")
  local tenant, given = first[1], first[2]
  if not tenant then
    break
  end
  local id = pop(tenant)
  if id then
    redis.call("SADD", KEYS[3], id)
    redis.call("SADD", ARGV[5] .. tenant .. ":slots", id)
    redis.call("SET", KEYS[7], given)
    redis.call("ZADD", KEYS[5], string.format("%.17g", given + 1 / terms(tenant).weight), tenant)
    taken[#taken + 1] = id
    taken[#taken + 1] = ARGV[1]
    redis.call("ZREM", KEYS[1], id)
    room = room - 1
  else
    redis.call("ZREM", KEYS[5], tenant)
    redis.call("ZADD", KEYS[6], given, tenant)
  end
end
redis.call("ZREMRANGEBYSCORE", KEYS[6], "-inf", "(" .. (redis.call("GET", KEYS[7]) or "0"))
for n = 1, #taken, 2 do
  redis.call("ZADD", KEYS[4], ARGV[3], taken[n])
end
if probing and #taken > 0 then
  redis.call("HSET", KEYS[9], "probe", 1, "retry_at", ARGV[7])
end
table.insert(taken, 1, redis.call("ZCARD", KEYS[1]))
table.insert(taken, 2, looks == LOOKS and 1 or 0)
return taken
