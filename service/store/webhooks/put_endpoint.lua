-- Write an endpoint, if it still is the version it was read at, or new where its tenant has room for another.
--
-- WHEN FULL  runs
-- KEYS  1 endpoints of the tenant  2 the tenant  3 health of the endpoint
-- ARGV  1 id  2 version it was read at (0: it is new)  3 record  4 most endpoints of a tenant
--       5 "1" when its failures are to be forgotten
-- RETURNS  "written", "changed", "full" or "orphan"
if redis.call("EXISTS", KEYS[2]) == 0 then
  return "orphan"
end
local record = redis.call("HGET", KEYS[1], ARGV[1])
if (record and string.match(record, "^%d+") or "0") ~= ARGV[2] then
  return "changed"
end
if not record and redis.call("HLEN", KEYS[1]) >= tonumber(ARGV[4]) then
  return "full"
end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
if ARGV[5] == "1" then
  redis.call("DEL", KEYS[3])
end
return "written"
