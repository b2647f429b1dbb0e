-- Store a small value that expires, also on a full Redis: a login link, or the message after an action.
--
-- WHEN FULL  runs
-- KEYS  entry
-- ARGV  value, lifetime_ms
-- RETURNS  1
redis.call("SET", entry_key, value, "PX", lifetime_ms)
return 1
