-- Block an end user until it is unblocked: the record no longer expires. The first time counts.
--
-- WHEN FULL  runs
-- KEYS  1 the end user  2 the tenant
-- ARGV  1 the time (RFC 3339)
-- RETURNS  1 when the end user is blocked, 0 when the tenant was deleted
if redis.call("EXISTS", KEYS[2]) == 0 then
  return 0
end
redis.call("HSETNX", KEYS[1], "blocked", ARGV[1])
redis.call("PERSIST", KEYS[1])
return 1
