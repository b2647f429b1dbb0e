-- Generic cell rate algorithm: one number per caller, the moment by which all it has sent would be due at its rate.
--
-- WHEN FULL  runs
-- KEYS  1 the caller's moment
-- ARGV  1 us now  2 us between calls at the rate  3 calls that may come at once
-- RETURNS  {1 when it may, calls left, us until it may again (0 when it may), us until all is forgotten}
local now, gap, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local due = math.max(tonumber(redis.call("GET", KEYS[1]) or 0), now)
local after = due + gap
local wait = after - gap * burst - now
if wait > 0 then
  return {0, 0, wait, due - now}
end
redis.call("SET", KEYS[1], string.format("%.0f", after), "PX", math.ceil((after - now) / 1000))
return {1, math.floor(-wait / gap), 0, after - now}
