-- Take what is due in one lane, for as long as a lease, while the receiver and its tenant may have more under way; then
-- say when the lane is to be looked at next. A receiver that only fails gets a trickle until it answers again.
--
-- WHEN FULL  runs
-- KEYS  1 lane  2 leased of the lane  3 health of the lane  4 under way of the tenant  5 lanes of the tenant that are
--       held  6 due:deliver
-- ARGV  1 name of the lane  2 ms now  3 most to take  4 ms when the lease ends  5 most under way in the lane  6 the same
--       where it only fails  7 failures in a row from which on it does  8 most under way of the tenant
-- RETURNS  {1 if another claim would find something, id, ms it was due, id, ms, ...}
local now = tonumber(ARGV[2])
for n = 2, 4, 2 do
  redis.call("ZREMRANGEBYSCORE", KEYS[n], "-inf", ARGV[2])
end
redis.call("SREM", KEYS[5], ARGV[1]) -- whoever frees a place must not spend it on a lane that has nothing to send
local failures = tonumber(redis.call("HGET", KEYS[3], "failures") or 0)
local most = tonumber(failures >= tonumber(ARGV[7]) and ARGV[6] or ARGV[5])
local lane_room = most - redis.call("ZCARD", KEYS[2])
local tenant_room = tonumber(ARGV[8]) - redis.call("ZCARD", KEYS[4])
local room = math.min(tonumber(ARGV[3]), lane_room, tenant_room)
local taken = {}
if room > 0 then
  taken = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[2], "WITHSCORES", "LIMIT", 0, room)
  for n = 1, #taken, 2 do
    redis.call("ZADD", KEYS[1], ARGV[4], taken[n])
    redis.call("ZADD", KEYS[2], ARGV[4], taken[n])
    redis.call("ZADD", KEYS[4], ARGV[4], taken[n])
  end
end

local first = redis.call("ZRANGE", KEYS[1], 0, 0, "WITHSCORES")[2]
local more = 0
if not first then
  redis.call("ZREM", KEYS[6], ARGV[1])
else
  if tonumber(first) <= now then
    if lane_room <= #taken / 2 then -- the end of an attempt makes it due, or else the end of a lease
      first = redis.call("ZRANGE", KEYS[2], 0, 0, "WITHSCORES")[2] or first
    elseif tenant_room <= #taken / 2 then
      redis.call("SADD", KEYS[5], ARGV[1])
      first = redis.call("ZRANGE", KEYS[4], 0, 0, "WITHSCORES")[2] or first
    else
      more = 1
      first = ARGV[2] -- the others' turn is before its next one
    end
  end
  redis.call("ZADD", KEYS[6], first, ARGV[1])
end
table.insert(taken, 1, more)
return taken
