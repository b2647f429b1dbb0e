-- Delete the name of an end user, its refusals and the reason of its block. The block itself stays: it has no name.
--
-- WHEN FULL  runs
-- KEYS  end_user, end_users, end_user_names
-- ARGV  none
-- RETURNS  1
local name = redis.call("HGET", end_user_key, "id")
if name then
  redis.call("ZREM", end_users_key, name)
  redis.call("ZREM", end_user_names_key, name)
end
redis.call("HDEL", end_user_key, "id", "refusals", "block_reason")
return 1
