-- Forget deliveries of one tenant: records, entries in their queues, leases, indexes, and what is due for the sweep. All
-- of them or none: with one that is pending, nothing changes unless the caller says otherwise, so that a replay that was
-- answered "pending" is sent. An attempt that is under way finds nothing to write to.
--
-- WHEN FULL  runs
-- KEYS  1 under way of the tenant  2 deliveries of the tenant  3 dead of the tenant  4 due:deliver  5 due:sweep
--       6 lanes of the tenant that are held  7 pending of the tenant  8... record, lane and leased of the lane of each
--       delivery
-- ARGV  1 "1" when pending deliveries are forgotten too  2... id and name of the lane of each delivery
-- RETURNS  1 when they are forgotten, 0 when one is pending
local deliveries = (#ARGV - 1) / 2
if ARGV[1] ~= "1" then
  for n = 0, deliveries - 1 do
    if redis.call("ZSCORE", KEYS[9 + 3 * n], ARGV[2 + 2 * n]) then
      return 0
    end
  end
end
for n = 0, deliveries - 1 do
  local id, lane = ARGV[2 + 2 * n], ARGV[3 + 2 * n]
  redis.call("DEL", KEYS[8 + 3 * n])
  redis.call("ZREM", KEYS[9 + 3 * n], id)
  redis.call("ZREM", KEYS[10 + 3 * n], id)
  for index = 1, 3 do
    redis.call("ZREM", KEYS[index], id)
  end
  redis.call("ZREM", KEYS[5], id)
  redis.call("SREM", KEYS[7], id)
  if redis.call("EXISTS", KEYS[9 + 3 * n]) == 0 then
    redis.call("ZREM", KEYS[4], lane)
    redis.call("SREM", KEYS[6], lane)
  end
end
return 1
