-- Write deliveries that no generation causes: a test, or what became of an endpoint; then once for each stage of its
-- decline, and together with the endpoint as it is afterwards.
--
-- USES  deliver
-- WHEN FULL  runs
-- KEYS  1 endpoints of the tenant  2 health of the endpoint  3 due:deliver  4 nudged:deliver  5 due:sweep
--       6 deliveries of the tenant  7 dead of the tenant  8 pending of the tenant  9... record and lane of each delivery
-- ARGV  1 endpoint  2 its version, as read  3 the endpoint as it shall be ("": as it is)  4 stage ("": no decline)
--       5 ms now  6 ms when the deliveries may be purged  7 ms the streak began that it is about ("": none)
--       8... id, record and lane of each delivery
-- RETURNS  {1 when it was written or 0 when the endpoint has changed, was told before or answers again, 1 if a nudge is
--          wanted}
local record = redis.call("HGET", KEYS[1], ARGV[1])
if not record or string.match(record, "^%d+") ~= ARGV[2] then
  return {0, 0}
end
if ARGV[7] ~= "" and redis.call("HGET", KEYS[2], "first") ~= ARGV[7] then -- a success meanwhile has forgiven it
  return {0, 0}
end
if ARGV[4] ~= "" then
  if tonumber(redis.call("HGET", KEYS[2], "told") or 0) >= tonumber(ARGV[4]) then
    return {0, 0}
  end
  redis.call("HSET", KEYS[2], "told", ARGV[4])
end
if ARGV[3] ~= "" then
  redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
end
for n = 8, #ARGV, 3 do
  redis.call("ZADD", KEYS[5], ARGV[6], ARGV[n])
end
local waiting = deliver(KEYS[3], ARGV[5], 6, 8)
return {1, waiting and redis.call("SET", KEYS[4], 1, "NX") and 1 or 0}
