-- What /metrics tells of some tenants: of those with something queued, at fal or dead, or a generation of this month.
-- A page at a time: Redis answers nobody else meanwhile.
--
-- WHEN FULL  reads
-- KEYS  1 tenants
-- ARGV  1 first, 2 last of them to look at  3 prefix of tenants' keys  4, 5 what their money's keys of this month begin
--       and end with
-- RETURNS  {how many were looked at, tenant, queued, ms of the oldest, slots, held, spent, budget, dead, tenant, ...};
--          "" for what there is none of
local MILLISECONDS = 2 ^ 42 -- the lower bits of a rank in a tenant's queue; above them its priority

-- The queue is by priority, then by age: the oldest of each priority is the first of its band.
local function oldest_queued(key)
  local first = tonumber(redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2])
  local oldest = first % MILLISECONDS
  while true do
    local next_band = string.format("%.0f", first - first % MILLISECONDS + MILLISECONDS)
    if redis.call("ZCOUNT", key, next_band, "+inf") == 0 then
      return string.format("%.0f", oldest)
    end
    first = tonumber(redis.call("ZRANGEBYSCORE", key, next_band, "+inf", "WITHSCORES", "LIMIT", 0, 1)[2])
    oldest = math.min(oldest, first % MILLISECONDS)
  end
end

local BUDGET = '"monthly_budget":' -- inside a text of the record its quotes would be escaped
local function budget_of(record)
  local _, found = string.find(record, BUDGET, 1, true) -- decoding all of it takes five times as long
  return found and string.match(record, "^%d+", found + 1) or ""
end

local tenants = redis.call("ZRANGE", KEYS[1], ARGV[1], ARGV[2])
local rows = {#tenants}
for _, tenant in ipairs(tenants) do
  local name = ARGV[3] .. tenant
  local money = redis.call("HMGET", ARGV[4] .. tenant .. ARGV[5], "held", "spent")
  local queued, slots = redis.call("ZCARD", name .. ":queued"), redis.call("SCARD", name .. ":slots")
  local dead = redis.call("ZCARD", name .. ":dead")
  if money[1] or queued > 0 or slots > 0 or dead > 0 then
    local record = redis.call("GET", name)
    rows[#rows + 1] = tenant
    rows[#rows + 1] = queued
    rows[#rows + 1] = queued > 0 and oldest_queued(name .. ":queued") or ""
    rows[#rows + 1] = slots
    rows[#rows + 1] = money[1] or 0
    rows[#rows + 1] = money[2] or 0
    rows[#rows + 1] = record and budget_of(record) or ""
    rows[#rows + 1] = dead
  end
end
return rows
