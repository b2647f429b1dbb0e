-- Read the figures of /metrics about a page of tenants: the name of each, and the state of those with queued
-- generations, slots, dead letters, or a generation of this month. One page a script call: Redis serves no other client
-- meanwhile.
--
-- WHEN FULL  reads
-- USES  oldest_queued
-- KEYS  tenants
-- ARGV  first, last (positions of the page in the index of tenants), tenant_prefix (of tenants' keys),
--       money_prefix, money_suffix (of the keys of tenants' money of this month)
-- RETURNS  {tenants of the page, {id, name, id, ...}, {id, queued, ms of the oldest, slots, held, spent, budget,
--          dead letters, id, ...}}; "" for what does not exist
local BUDGET = '"monthly_budget":' -- in a string of the record its quotes would be escaped
local function budget_of(record)
  local _, found = string.find(record, BUDGET, 1, true) -- decoding the whole record takes five times as long
  return found and string.match(record, "^%d+", found + 1) or ""
end

local NAME = '"name":"' -- as above; the record has one field of this name
local function name_of(record)
  local _, found = string.find(record, NAME, 1, true)
  local text, closing = string.match(record, '^([^"\\]*)(.)', found + 1)
  return closing == '"' and text or cjson.decode(record).name -- a backslash begins an escape
end

local tenants = redis.call("ZRANGE", tenants_key, first, last)
local names, rows = {}, {}
for _, id in ipairs(tenants) do
  local name = tenant_prefix .. id
  local record = redis.call("GET", name)
  if record then
    names[#names + 1] = id
    names[#names + 1] = name_of(record)
  end
  local money = redis.call("HMGET", money_prefix .. id .. money_suffix, "held", "spent")
  local queued, slots = redis.call("ZCARD", name .. ":queued"), redis.call("SCARD", name .. ":slots")
  local dead_letters = redis.call("ZCARD", name .. ":dead_letters")
  if money[1] or queued > 0 or slots > 0 or dead_letters > 0 then
    rows[#rows + 1] = id
    rows[#rows + 1] = queued
    rows[#rows + 1] = queued > 0 and oldest_queued(name .. ":queued") or ""
    rows[#rows + 1] = slots
    rows[#rows + 1] = money[1] or 0
    rows[#rows + 1] = money[2] or 0
    rows[#rows + 1] = record and budget_of(record) or ""
    rows[#rows + 1] = dead_letters
  end
end
return {#tenants, names, rows}
