-- Note that fal answered a poll after it had refused others: these prove no lock, and a hold that only they caused ends.
--
-- WHEN FULL  runs
-- KEYS  1 gate  2 locked_polls
-- ARGV  none
-- RETURNS  "opened" when this ends a hold, else ""
redis.call("DEL", KEYS[2])
if redis.call("HGET", KEYS[1], "by") ~= "polls" then
  return ""
end
redis.call("HDEL", KEYS[1], "shut", "why", "since", "retry_at", "fresh_at", "tries", "probe", "probed", "by")
return "opened"
