-- Claim due entries of a work queue under a lease. Until the lease ends, no other claim returns them; after that, they
-- are due again.
--
-- WHEN FULL  runs
-- KEYS  due, nudged
-- ARGV  now_ms, limit (maximum number of entries), lease_end_ms
-- RETURNS  {entries in the due set, id, ms at which it was due, id, ms, ...}
redis.call("DEL", nudged_key)
local found = redis.call("ZRANGEBYSCORE", due_key, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, limit)
for n = 1, #found, 2 do
  redis.call("ZADD", due_key, lease_end_ms, found[n])
end
table.insert(found, 1, redis.call("ZCARD", due_key))
return found
