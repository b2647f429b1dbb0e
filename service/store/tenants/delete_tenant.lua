-- Forget a tenant, its keys and its endpoints, unless it has work in flight: generations that have not ended, wherever
-- they are, or deliveries that are pending.
--
-- WHEN FULL  runs
-- KEYS  1 record  2 index of its keys  3 all tenants  4 queued of the tenant  5 slots of the tenant  6 slotless of the
--       tenant  7 pending deliveries of the tenant  8 fair  9 resting  10 paused tenants  11 endpoints of the tenant
-- ARGV  1 tenant  2 prefix of the records of API keys  3 what is appended to it for their uses
-- RETURNS  {generations that have not ended, deliveries that are pending}; {0, 0}: it is gone
local generations = redis.call("ZCARD", KEYS[4]) + redis.call("SCARD", KEYS[5]) + redis.call("SCARD", KEYS[6])
local deliveries = redis.call("SCARD", KEYS[7])
if generations + deliveries > 0 then
  return {generations, deliveries}
end
for _, key in ipairs(redis.call("ZRANGE", KEYS[2], 0, -1)) do -- read here: one that is created meanwhile goes too
  redis.call("DEL", ARGV[2] .. key, ARGV[2] .. key .. ARGV[3])
end
redis.call("ZREM", KEYS[3], ARGV[1])
for n = 8, 9 do
  redis.call("ZREM", KEYS[n], ARGV[1])
end
redis.call("SREM", KEYS[10], ARGV[1])
redis.call("DEL", KEYS[1], KEYS[2], KEYS[11])
return {0, 0}
