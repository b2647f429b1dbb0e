-- What /metrics tells of everybody, in one read that changes nothing. A tenant has a row when it has something queued,
-- at fal, undelivered or dead, or had a generation accepted this month.
--
-- KEYS  1 tenants  2 slots  3 unconfirmed  4 money of the account's day  5 due:deliver  6... every due set
-- ARGV  1 prefix of tenants' keys  2, 3 what their money's keys of this month begin and end with  4 prefix of lanes
--       5 most tenants and lanes to look at  6 ms now
-- RETURNS  {slots used, unconfirmed, ms of the oldest of them, held and spent of the account, {entries of each due set},
--          {ms of the oldest of each},
--          {tenant, queued, ms of the oldest, slots, held, spent, budget, pending, backlog, dead, tenant, ...}};
--          "" for what there is none of
local MILLISECONDS = 2 ^ 42 -- the lower bits of a rank in a tenant's queue; above them its priority
local most = ARGV[5] - 1

local function oldest_of(key)
  return redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2] or ""
end

-- The queue is by priority, then by age: the oldest of each priority is the first of its band.
local function oldest_queued(key)
  local oldest, from = nil, "-inf"
  while true do
    local first = redis.call("ZRANGEBYSCORE", key, from, "+inf", "WITHSCORES", "LIMIT", 0, 1)[2]
    if not first then
      return oldest and string.format("%.0f", oldest) or ""
    end
    local since = first % MILLISECONDS
    oldest = math.min(oldest or since, since)
    from = string.format("%.0f", first - since + MILLISECONDS)
  end
end

local pending, backlog = {}, {}
for _, lane in ipairs(redis.call("ZRANGE", KEYS[5], 0, most)) do
  local tenant = string.match(lane, "^[^:]+")
  pending[tenant] = (pending[tenant] or 0) + redis.call("ZCARD", ARGV[4] .. lane)
  backlog[tenant] = (backlog[tenant] or 0) + redis.call("ZCOUNT", ARGV[4] .. lane, "-inf", ARGV[6])
end

local rows = {}
for _, tenant in ipairs(redis.call("ZRANGE", KEYS[1], 0, most)) do
  local name = ARGV[1] .. tenant
  local money = redis.call("HMGET", ARGV[2] .. tenant .. ARGV[3], "held", "spent", "count")
  local queued, slots = redis.call("ZCARD", name .. ":queued"), redis.call("SCARD", name .. ":slots")
  local dead = redis.call("ZCARD", name .. ":dead")
  if money[3] or queued > 0 or slots > 0 or dead > 0 or pending[tenant] then
    local record = redis.call("GET", name)
    local row = {
      tenant,
      queued,
      queued > 0 and oldest_queued(name .. ":queued") or "",
      slots,
      money[1] or 0,
      money[2] or 0,
      record and string.match(record, '"monthly_budget":(%d+)') or "", -- a quote inside a text of the record is escaped
      pending[tenant] or 0,
      backlog[tenant] or 0,
      dead,
    }
    for n = 1, #row do
      rows[#rows + 1] = row[n]
    end
  end
end

local entries, oldest = {}, {}
for n = 6, #KEYS do
  entries[#entries + 1] = redis.call("ZCARD", KEYS[n])
  oldest[#oldest + 1] = oldest_of(KEYS[n])
end
local account = redis.call("HMGET", KEYS[4], "held", "spent")
return {
  redis.call("SCARD", KEYS[2]),
  redis.call("ZCARD", KEYS[3]),
  oldest_of(KEYS[3]),
  account[1] or 0,
  account[2] or 0,
  entries,
  oldest,
  rows,
}
