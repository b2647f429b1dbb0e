-- Remove dead letters of a deleted tenant from the indexes, a part of them a call. Their records stay until they are purged.
--
-- WHEN FULL  runs
-- KEYS  tenant, dead_letters, all_dead_letters
-- ARGV  limit (dead letters of one call)
-- RETURNS  how many were removed; 0: none is left, or the tenant exists
if redis.call("EXISTS", tenant_key) == 1 then
  return 0
end
local popped = redis.call("ZPOPMIN", dead_letters_key, limit)
for n = 1, #popped, 2 do
  redis.call("ZREM", all_dead_letters_key, popped[n])
end
return #popped / 2
