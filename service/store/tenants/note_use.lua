-- Note when an API key was last used. A key that was deleted meanwhile gets no entry: nothing would remove it.
--
-- WHEN FULL  runs
-- KEYS  1 record of the key  2 when it was last used
-- ARGV  1 the minute (RFC 3339)
-- RETURNS  1 when it was noted, 0 when there is no such key
if redis.call("EXISTS", KEYS[1]) == 0 then
  return 0
end
redis.call("SET", KEYS[2], ARGV[1])
return 1
