-- Estimate the bytes that one tenant stores: the number of its generations and deliveries, each times the mean of a few
-- random ones; and what stays of some days for 400 days: usage, budget windows, the ledger, names of end users.
--
-- WHEN FULL  reads
-- KEYS  tenant_generations, tenant_generation_terms, tenant_deliveries
-- ARGV  samples (of each kind), generation_prefix, delivery_prefix, event_prefix, usage_prefix (of the tenant),
--       end_users_suffix (of the keys of a day's end users), days...
-- RETURNS  {bytes of generations and deliveries, bytes of the days}
local GENERATION_ENTRIES = 650 -- in indexes and due sets, with an idempotency key
local TERM = 120 -- an entry in the index of terms
local DELIVERY_ENTRIES = 350 -- in indexes and its endpoint queue
local DAY, CREATED, NEW_END_USER, END_USER = 320, 190, 170, 320

local function size(name)
  return redis.call("MEMORY", "USAGE", name) or 0
end

local function estimate(index, entries, size_of)
  local count = redis.call("ZCARD", index)
  if count == 0 then
    return 0
  end
  local chosen, total = redis.call("ZRANDMEMBER", index, samples), 0
  for _, id in ipairs(chosen) do
    total = total + size_of(id)
  end
  return count * (total / #chosen + entries)
end

local function size_of_delivery(id)
  local event = redis.call("HGET", delivery_prefix .. id, "e")
  local body = 0
  if event then
    local references = tonumber(redis.call("HGET", event_prefix .. event, "n") or 1)
    body = size(event_prefix .. event) / math.max(references, 1)
  end
  return size(delivery_prefix .. id) + body
end

local stored = estimate(tenant_generations_key, GENERATION_ENTRIES, function(id) return size(generation_prefix .. id) end)
  + redis.call("ZCARD", tenant_generation_terms_key) * TERM
  + estimate(tenant_deliveries_key, DELIVERY_ENTRIES, size_of_delivery)
local of_days = 0
for n = days_start, #ARGV do
  local usage = usage_prefix .. ARGV[n]
  local counts = redis.call("HMGET", usage, "created", "new_end_users")
  if counts[1] then
    of_days = of_days + DAY + counts[1] * CREATED + (counts[2] or 0) * NEW_END_USER
      + redis.call("ZCARD", usage .. end_users_suffix) * END_USER
  end
end
return {math.floor(stored), math.floor(of_days)}
