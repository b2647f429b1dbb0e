-- Forget a tenant and its keys, unless it has work that has not ended.
--
-- KEYS  1 record  2 index of its keys  3 all tenants  4 queued of the tenant  5 slots of the tenant  6 fair  7 resting
--       8 paused tenants  9... records and uses of its keys
-- ARGV  1 tenant
-- RETURNS  how many of its generations have not ended; 0: it is gone
local busy = redis.call("ZCARD", KEYS[4]) + redis.call("SCARD", KEYS[5])
if busy > 0 then
  return busy
end
redis.call("ZREM", KEYS[3], ARGV[1])
for n = 6, 7 do
  redis.call("ZREM", KEYS[n], ARGV[1])
end
redis.call("SREM", KEYS[8], ARGV[1])
redis.call("DEL", KEYS[1], KEYS[2])
for n = 9, #KEYS do
  redis.call("DEL", KEYS[n])
end
return 0
