-- Replace a record (JSON with a member "version") that is still the version it was read at.
--
-- WHEN FULL  runs
-- KEYS  1 record
-- ARGV  1 version it was read at  2 the record as it shall be
-- RETURNS  1 when it was replaced, 0 when it has changed since or is gone
local record = redis.call("GET", KEYS[1])
if not record or cjson.decode(record).version ~= tonumber(ARGV[1]) then
  return 0
end
redis.call("SET", KEYS[1], ARGV[2])
return 1
