-- Record when an API key was last used. A deleted key gets no entry: nothing would remove the entry.
--
-- WHEN FULL  runs
-- KEYS  api_key, api_key_used
-- ARGV  minute (RFC 3339)
-- RETURNS  1 if it was recorded, 0 if there is no such key
if redis.call("EXISTS", api_key_key) == 0 then
  return 0
end
redis.call("SET", api_key_used_key, minute)
return 1
