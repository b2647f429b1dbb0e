-- Record that an act begins, before it changes anything, unless the tenant that acts has reached one of its limits.
--
-- WHEN FULL  runs
-- KEYS  trail_pending, acts (of the tenant and the day), tenant_trail (both trail_pending itself where no tenant acts)
-- ARGV  act_id, record (entry without outcome), daily_limit (acts of a tenant in a day; "": an operator acts),
--       stored_limit (entries about a tenant), counter_seconds (for which acts of a day are counted), retention_ms
-- RETURNS  "begun", or the limit that is reached: "daily" or "stored"
if daily_limit ~= "" then
  if tonumber(redis.call("GET", acts_key) or 0) >= tonumber(daily_limit) then
    return "daily"
  end
  if redis.call("ZCARD", tenant_trail_key) >= tonumber(stored_limit) then
    -- A refused tenant appends nothing, which would remove old ones. The time is that of Redis, as there.
    local time = redis.call("TIME")
    local oldest_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(retention_ms)
    for _, old in ipairs(redis.call("ZRANGE", tenant_trail_key, 0, 99)) do
      if tonumber(string.match(old, "^%d+")) >= oldest_ms then
        break
      end
      redis.call("ZREM", tenant_trail_key, old)
    end
    if redis.call("ZCARD", tenant_trail_key) >= tonumber(stored_limit) then
      return "stored"
    end
  end
  if redis.call("INCR", acts_key) == 1 then
    redis.call("EXPIRE", acts_key, counter_seconds)
  end
end
redis.call("HSET", trail_pending_key, act_id, record)
return "begun"
