-- Count one call of a tenant against its rate limit, by the generic cell rate algorithm: one number per tenant, the
-- time at which all calls so far would be due at the permitted rate.
--
-- WHEN FULL  runs
-- KEYS  rate_limit
-- ARGV  now_us, interval_us (between calls at the permitted rate), burst (calls that may come together)
-- RETURNS  {1 if the call is allowed, calls left, us until the next call is allowed (0 if this one is), us until the
--          whole quota is available}
local now, interval = tonumber(now_us), tonumber(interval_us)
local due = math.max(tonumber(redis.call("GET", rate_limit_key) or 0), now)
local after = due + interval
local wait = after - interval * tonumber(burst) - now
if wait > 0 then
  return {0, 0, wait, due - now}
end
redis.call("SET", rate_limit_key, string.format("%.0f", after), "PX", math.ceil((after - now) / 1000))
return {1, math.floor(-wait / interval), 0, after - now}
