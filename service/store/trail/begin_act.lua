-- Record that an act begins, before it changes anything, unless the tenant that acts has reached its limit of a day.
--
-- WHEN FULL  runs
-- KEYS  trail_pending, acts (of the tenant and the day; trail_pending itself where no tenant acts)
-- ARGV  act_id, record (entry without outcome), daily_limit (acts of a tenant in a day; "": an operator acts),
--       retention_seconds (of acts)
-- RETURNS  1 if it was recorded, 0 if the limit is reached
if daily_limit ~= "" then
  if tonumber(redis.call("GET", acts_key) or 0) >= tonumber(daily_limit) then
    return 0
  end
  if redis.call("INCR", acts_key) == 1 then
    redis.call("EXPIRE", acts_key, retention_seconds)
  end
end
redis.call("HSET", trail_pending_key, act_id, record)
return 1
