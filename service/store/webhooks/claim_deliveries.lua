-- Claim due deliveries under a lease. Tenants take turns, and within a tenant its endpoint queues. A claim is bounded by
-- the capacity of the calling process, by the tenant's share of what is left of it, and by the receiver's limit of
-- concurrent attempts over all workers.
--
-- Unproven receivers (see endpoint_queues) have a part of the capacity and of each claim for themselves. The rest stays
-- for proven receivers, however many receivers fail.
--
-- USES  endpoint_queues
-- WHEN FULL  runs
-- KEYS  due_deliver, nudged_deliver
-- ARGV  now_ms, limit (deliveries of this claim), lease_end_ms, receiver_limit, unproven_receiver_limit,
--       tenant_share (of the capacity that is left), left (capacity), unproven_left (of the part for unproven receivers),
--       park_ms (until a tenant that has its share is considered again, unless one of its attempts ends),
--       under_way... (of each tenant with attempts in this process: "<tenant>" or "<tenant>:unproven", attempts)
-- RETURNS  {1 if another claim would find something, entries, deliveries... (of each endpoint queue: its name,
--          1 if its receiver is proven, number of its deliveries; then of each of them id and ms at which it was due)}
redis.call("DEL", nudged_deliver_key)
local TENANTS = 100 -- whose turns one claim considers
local now, found = tonumber(now_ms), {}
local attempts = {}
for n = under_way_start, #ARGV, 2 do
  attempts[ARGV[n]] = tonumber(ARGV[n + 1])
end

local function claim_queue(name, wanted, most, suffix)
  local queue = TAG .. "endpoint:" .. name
  local leases = queue .. ":leases"
  redis.call("ZREMRANGEBYSCORE", leases, "-inf", now_ms)
  local receiver_left = most - redis.call("ZCARD", leases)
  local claimed = {}
  if receiver_left > 0 then
    claimed = redis.call("ZRANGEBYSCORE", queue, "-inf", now_ms, "WITHSCORES", "LIMIT", 0,
      math.min(wanted, receiver_left))
  end
  local count = #claimed / 2
  if count > 0 then
    found[#found + 1] = name
    found[#found + 1] = suffix == "" and 1 or 0
    found[#found + 1] = count
  end
  for n = 1, #claimed, 2 do
    redis.call("ZADD", queue, lease_end_ms, claimed[n])
    redis.call("ZADD", leases, lease_end_ms, claimed[n])
    found[#found + 1] = claimed[n]
    found[#found + 1] = claimed[n + 1]
  end
  local queues = queues_of(tenant_of(name), suffix)
  local first = redis.call("ZRANGE", queue, 0, 0, "WITHSCORES")[2]
  if not first then
    redis.call("ZREM", queues, name)
    return count
  end
  if tonumber(first) <= now then
    if receiver_left <= count then -- the end of an attempt makes the queue due, or else the end of a lease
      first = redis.call("ZRANGE", leases, 0, 0, "WITHSCORES")[2]
    else
      first = now_ms -- the tenant's other queues that are due come first
    end
  end
  redis.call("ZADD", queues, first, name)
  return count
end

local function claim_tenant(tenant, wanted, most, suffix)
  local names = redis.call("ZRANGEBYSCORE", queues_of(tenant, suffix), "-inf", now_ms, "LIMIT", 0, wanted)
  local part, taken = math.max(1, math.floor(wanted / #names)), 0
  for _, name in ipairs(names) do
    taken = taken + claim_queue(name, math.min(part, wanted - taken), most, suffix)
    if taken >= wanted then
      break
    end
  end
  return taken
end

-- Claim at most so many deliveries. Returns their number, and whether another claim would find something.
local function claim_turns(suffix, most_claimed, capacity, receiver_most)
  if most_claimed <= 0 then
    return 0, false
  end
  local turns, taken, more = due_deliver_key .. suffix, 0, false
  local tenants = redis.call("ZRANGEBYSCORE", turns, "-inf", now_ms, "LIMIT", 0, TENANTS)
  local part = math.max(1, math.floor(most_claimed / #tenants))
  -- The capacity that stays free for the other tenants grows with the tenants that have their share.
  local function allowed(tenant)
    local own, free = attempts[tenant .. suffix] or 0, capacity - taken
    return math.max(math.floor(tenant_share * free - own), own == 0 and math.min(1, free) or 0)
  end
  for _, tenant in ipairs(tenants) do
    if taken >= most_claimed then
      more = true
      break
    end
    local wanted = math.min(part, allowed(tenant), most_claimed - taken)
    if wanted > 0 then
      local count = claim_tenant(tenant, wanted, receiver_most, suffix)
      attempts[tenant .. suffix] = (attempts[tenant .. suffix] or 0) + count
      taken = taken + count
    end
    local first = redis.call("ZRANGE", queues_of(tenant, suffix), 0, 0, "WITHSCORES")[2]
    if not first then
      redis.call("ZREM", turns, tenant)
    elseif tonumber(first) > now then
      redis.call("ZADD", turns, first, tenant)
    elseif allowed(tenant) > 0 then
      redis.call("ZADD", turns, now_ms, tenant) -- behind the other tenants
      more = true
    else
      redis.call("ZADD", turns, string.format("%.0f", now + park_ms), tenant)
    end
  end
  return taken, more or #tenants == TENANTS
end

local most, unproven_most = math.min(tonumber(limit), tonumber(left)), tonumber(unproven_left)
local function claim_unproven(most_claimed, taken)
  local free = unproven_most - taken
  return claim_turns(UNPROVEN, math.min(most_claimed, free), free, tonumber(unproven_receiver_limit))
end

-- First the unproven receivers, with half of the claim at most: a process that is always busy leaves them their part.
local unproven, more_unproven = claim_unproven(math.ceil(most / 2), 0)
local proven, more_proven = claim_turns("", most - unproven, left - unproven, tonumber(receiver_limit))
if more_unproven and unproven + proven < most then
  local rest
  rest, more_unproven = claim_unproven(most - unproven - proven, unproven)
  unproven = unproven + rest
end
more_unproven = more_unproven and unproven < unproven_most
local entries = redis.call("ZCARD", due_deliver_key) + redis.call("ZCARD", due_deliver_key .. UNPROVEN)
return {(more_proven or more_unproven) and 1 or 0, entries, unpack(found)}
