-- Note that fal refused a poll with 401 or 403. Several generations' polls hold the account, where none was answered in
-- between; of one tenant only while no other tenant has generations at fal.
--
-- USES  fair
-- USES  hold
-- WHEN FULL  runs
-- KEYS  1 gate  2 locked_polls  3 held  4 fair  5 resting  6 present  7 slots  8 slots of the tenant
-- ARGV  1 ms now  2 generation  3 ms when the poll was sent  4 generations that hold the account  5 reason  6 ms to wait
--       before the first probe  7 ms to wait at most  8 prefix of tenants' keys  9 ms a refused poll counts  10 tenant
-- RETURNS  "shut" when this holds the account, else ""
local state = redis.call("HMGET", KEYS[1], "shut", "taken_at")
if state[2] and tonumber(ARGV[3]) < tonumber(state[2]) then
  return ""
end
redis.call("ZADD", KEYS[2], ARGV[1], ARGV[10] .. ":" .. ARGV[2])
redis.call("ZREMRANGEBYSCORE", KEYS[2], "-inf", ARGV[1] - ARGV[9])
redis.call("PEXPIRE", KEYS[2], ARGV[9])
local several = redis.call("SCARD", KEYS[7]) == redis.call("SCARD", KEYS[8])
local found = redis.call("ZRANGE", KEYS[2], 0, 199)
for _, member in ipairs(found) do
  several = several or string.match(member, "^([^:]*):") ~= ARGV[10]
end
local enough = tonumber(ARGV[4])
if state[1] or #found < enough or (enough > 1 and not several) then
  return ""
end
hold(KEYS[1], "locked", ARGV[5], tonumber(ARGV[1]), tonumber(ARGV[6]), tonumber(ARGV[7]), false)
redis.call("HSET", KEYS[1], "by", "polls")
release(KEYS[3], KEYS[4], KEYS[5], KEYS[6], ARGV[8])
return "shut"
