-- Record since when the oldest queued generation of each of some tenants waits. A tenant without one, or a deleted one,
-- leaves the list.
--
-- WHEN FULL  runs
-- USES  oldest_queued
-- KEYS  waiting_tenants
-- ARGV  tenant_prefix (of tenants' keys), tenants...
-- RETURNS  1
for n = tenants_start, #ARGV do
  local oldest = oldest_queued(tenant_prefix .. ARGV[n] .. ":queued")
  if oldest then
    redis.call("ZADD", waiting_tenants_key, oldest, ARGV[n])
  else
    redis.call("ZREM", waiting_tenants_key, ARGV[n])
  end
end
return 1
