-- Block an end user until an unblock: the record no longer expires. The time of the first block stays.
--
-- WHEN FULL  runs
-- KEYS  end_user, tenant, blocked_end_users
-- ARGV  pseudonym, blocked_at (RFC 3339), reason ("": none; that of an earlier block stays)
-- RETURNS  1 if the end user is blocked, 0 if the tenant was deleted
if redis.call("EXISTS", tenant_key) == 0 then
  return 0
end
redis.call("HSETNX", end_user_key, "blocked", blocked_at)
redis.call("ZADD", blocked_end_users_key, 0, pseudonym)
if reason ~= "" then
  redis.call("HSET", end_user_key, "block_reason", reason)
end
redis.call("PERSIST", end_user_key)
return 1
