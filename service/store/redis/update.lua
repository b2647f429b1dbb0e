-- Replace a record (JSON with a member "version") that still has the version that was read.
--
-- WHEN FULL  runs
-- KEYS  record
-- ARGV  version (that was read), after (the new record)
-- RETURNS  1 if it was replaced, 0 if the version has changed or the record does not exist
local before = redis.call("GET", record_key)
if not before or cjson.decode(before).version ~= tonumber(version) then
  return 0
end
redis.call("SET", record_key, after)
return 1
