-- Read the receivers that only fail since a time, those that fail longest first. Of each: its endpoint, and the oldest of
-- its pending deliveries, which has the last response. Entries whose health has expired are removed.
--
-- WHEN FULL  runs
-- KEYS  failing_receivers
-- ARGV  before_ms (of the first failure), limit (receivers)
-- RETURNS  {receivers that only fail since then, rows... (of each: name of the endpoint queue, ms of the first failure, ms
--          of the last one, failures, pending deliveries, record of the tenant, sealed record of the endpoint, record of
--          the delivery; "" for what does not exist)}
local TAG = string.match(failing_receivers_key, "^(.*)failing_receivers$")
local rows, gone = {}, {}
local entries = redis.call("ZRANGEBYSCORE", failing_receivers_key, "-inf", before_ms, "WITHSCORES", "LIMIT", 0, limit)
for n = 1, #entries, 2 do
  local name = entries[n]
  local tenant, endpoint = string.match(name, "^([^:]*):(.*)$")
  local queue = TAG .. "endpoint:" .. name
  local health = redis.call("HMGET", queue .. ":health", "last", "failures")
  if not health[1] then
    gone[#gone + 1] = name
  else
    local first = redis.call("ZRANGE", queue, 0, 0)[1]
    local record = first and redis.call("HGET", TAG .. "delivery:" .. first, "d")
    for _, value in ipairs({
      name, entries[n + 1], health[1], health[2], redis.call("ZCARD", queue),
      redis.call("GET", TAG .. "tenant:" .. tenant) or "",
      redis.call("HGET", TAG .. "tenant:" .. tenant .. ":endpoints", endpoint) or "", record or ""
    }) do
      rows[#rows + 1] = value
    end
  end
end
for _, name in ipairs(gone) do
  redis.call("ZREM", failing_receivers_key, name)
end
return {redis.call("ZCOUNT", failing_receivers_key, "-inf", before_ms), unpack(rows)}
