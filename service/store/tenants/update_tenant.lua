-- Replace a tenant that is still the version it was read at; what it may dispatch from now on is looked at anew.
--
-- USES  fair
-- WHEN FULL  runs
-- KEYS  1 record  2 fair  3 resting  4 present  5 paused tenants  6 queued of the tenant
-- ARGV  1 version it was read at  2 the record as it shall be  3 tenant  4 "1" while its dispatch is paused
-- RETURNS  1 when it was replaced, 0 when it has changed since or is gone
local record = redis.call("GET", KEYS[1])
if not record or cjson.decode(record).version ~= tonumber(ARGV[1]) then
  return 0
end
redis.call("SET", KEYS[1], ARGV[2])
redis.call(ARGV[4] == "1" and "SADD" or "SREM", KEYS[5], ARGV[3])
if redis.call("EXISTS", KEYS[6]) == 1 then
  enter(KEYS[2], KEYS[3], KEYS[4], ARGV[3])
end
return 1
