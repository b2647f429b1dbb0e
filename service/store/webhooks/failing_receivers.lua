-- Read the receivers that only fail since a time, those that fail longest first. Of each: its endpoint, and the oldest of
-- its pending deliveries, which has the last response. Entries whose health has expired are removed.
--
-- WHEN FULL  runs
-- KEYS  failing_receivers
-- ARGV  before_ms (of the first failure), limit (receivers), after ("": from the first one on; else the endpoint queue
--       that was read last), after_ms (its first failure), brief ("1": without the oldest pending delivery)
-- RETURNS  {receivers that only fail since then, rows... (of each: name of the endpoint queue, ms of the first failure, ms
--          of the last one, failures, pending deliveries, record of the tenant, sealed record of the endpoint, record of
--          the delivery; "" for what does not exist)}
local TAG = string.match(failing_receivers_key, "^(.*)failing_receivers$")
local start = 0
if after ~= "" then
  local rank = redis.call("ZRANK", failing_receivers_key, after)
  -- It has recovered meanwhile: continue with those that fail as long.
  start = rank and rank + 1 or redis.call("ZCOUNT", failing_receivers_key, "-inf", "(" .. after_ms)
end
local found, gone, tenant_keys = {}, {}, {}
local entries = redis.call("ZRANGE", failing_receivers_key, start, start + limit - 1, "WITHSCORES")
for n = 1, #entries, 2 do
  local name, first_failure = entries[n], entries[n + 1]
  if tonumber(first_failure) > tonumber(before_ms) then
    break
  end
  local tenant, endpoint = string.match(name, "^([^:]*):(.*)$")
  local queue = TAG .. "endpoint:" .. name
  local health = redis.call("HMGET", queue .. ":health", "last", "failures")
  if not health[1] then
    gone[#gone + 1] = name
  else
    local record
    if brief == "" then
      local first = redis.call("ZRANGE", queue, 0, 0)[1]
      record = first and redis.call("HGET", TAG .. "delivery:" .. first, "d")
    end
    tenant_keys[#tenant_keys + 1] = TAG .. "tenant:" .. tenant
    found[#found + 1] = {
      name, first_failure, health[1], health[2], redis.call("ZCARD", queue), "",
      redis.call("HGET", TAG .. "tenant:" .. tenant .. ":endpoints", endpoint) or "", record or ""
    }
  end
end
local rows = {}
if #found > 0 then
  for n, tenant in ipairs(redis.call("MGET", unpack(tenant_keys))) do
    found[n][6] = tenant or ""
    for _, value in ipairs(found[n]) do
      rows[#rows + 1] = value
    end
  end
end
if #gone > 0 then
  redis.call("ZREM", failing_receivers_key, unpack(gone))
end
return {redis.call("ZCOUNT", failing_receivers_key, "-inf", before_ms), unpack(rows)}
