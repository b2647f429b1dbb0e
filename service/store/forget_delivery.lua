-- Forget a delivery: record, place in its lane, lease, indexes, and its place among what is to be swept. An attempt that
-- is under way finds nothing to write to.
--
-- KEYS  1 delivery  2 lane  3 leased of the lane  4 under way of the tenant  5 deliveries of the tenant  6 dead of the
--       tenant  7 due:deliver  8 due:sweep  9 lanes of the tenant that are held
-- ARGV  1 id  2 name of the lane
-- RETURNS  1 when there was one, else 0
local found = redis.call("DEL", KEYS[1])
for n = 2, 6 do
  redis.call("ZREM", KEYS[n], ARGV[1])
end
redis.call("ZREM", KEYS[8], ARGV[1])
if redis.call("EXISTS", KEYS[2]) == 0 then
  redis.call("ZREM", KEYS[7], ARGV[2])
  redis.call("SREM", KEYS[9], ARGV[2])
end
return found
