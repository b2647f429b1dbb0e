-- Read the account-wide figures of /metrics, in one script that changes nothing.
--
-- WHEN FULL  reads
-- KEYS  slots, unconfirmed, account_day, due_deliver, due_unproven (tenants with pending deliveries),
--       paid_and_lost, due_sets... (of every work queue)
-- ARGV  tenant_prefix, endpoint_queue_prefix, endpoint_limit (endpoint queues that are read at most), now_ms
-- RETURNS  {used slots, unconfirmed generations, ms of the oldest of them, held and spent of the account's day,
--          {entries of each due set}, {ms of the oldest entry of each}, {tenant, its pending deliveries, those that
--          are due, tenant, ...}, paid and lost generations}; "" for what does not exist
local function oldest_of(key)
  return redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2] or ""
end

-- Due deliveries of a tenant, of so many of its endpoint queues.
local function due_of(tenant, most)
  local due = 0
  for _, suffix in ipairs({"", ":unproven"}) do
    local queues = tenant_prefix .. tenant .. ":endpoint_queues" .. suffix
    for _, name in ipairs(redis.call("ZRANGE", queues, 0, most - 1)) do
      due = due + redis.call("ZCOUNT", endpoint_queue_prefix .. name, "-inf", now_ms)
    end
  end
  return due
end

local tenants, seen, deliveries = {}, {}, {}
for _, key in ipairs({due_deliver_key, due_unproven_key}) do
  for _, tenant in ipairs(redis.call("ZRANGE", key, 0, endpoint_limit - 1)) do
    if not seen[tenant] then
      seen[tenant] = true
      tenants[#tenants + 1] = tenant
    end
  end
end
for _, tenant in ipairs(tenants) do
  deliveries[#deliveries + 1] = tenant
  deliveries[#deliveries + 1] = redis.call("SCARD", tenant_prefix .. tenant .. ":pending_deliveries")
  deliveries[#deliveries + 1] = due_of(tenant, math.ceil(endpoint_limit / #tenants))
end
local entries, oldest = {}, {}
for n = due_sets_start, #KEYS do
  entries[#entries + 1] = redis.call("ZCARD", KEYS[n])
  oldest[#oldest + 1] = oldest_of(KEYS[n])
end
local account = redis.call("HMGET", account_day_key, "held", "spent")
return {
  redis.call("SCARD", slots_key),
  redis.call("ZCARD", unconfirmed_key),
  oldest_of(unconfirmed_key),
  account[1] or 0,
  account[2] or 0,
  entries,
  oldest,
  deliveries,
  redis.call("ZCARD", paid_and_lost_key),
}
