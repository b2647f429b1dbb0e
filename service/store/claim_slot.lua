-- Take queued generations that are due, each with an upstream slot, while there are slots. A claim whose worker died
-- between claim and submit still has its slot: it is given again, before all others, without another one.
--
-- KEYS  1 due:dispatch  2 nudged:dispatch  3 slots  4 claimed
-- ARGV  1 ms now  2 most to take  3 ms when the lease ends  4 slots there are
-- RETURNS  {entries still waiting, id, ms it was due, id, ms, ...}
redis.call("DEL", KEYS[2])
local taken = redis.call("ZRANGEBYSCORE", KEYS[4], "-inf", ARGV[1], "WITHSCORES", "LIMIT", 0, ARGV[2])
local room = math.min(ARGV[2] - #taken / 2, ARGV[4] - redis.call("SCARD", KEYS[3]))
if room > 0 then
  local due = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "WITHSCORES", "LIMIT", 0, room)
  for n = 1, #due, 2 do
    redis.call("ZREM", KEYS[1], due[n])
    redis.call("SADD", KEYS[3], due[n])
    taken[#taken + 1] = due[n]
    taken[#taken + 1] = due[n + 1]
  end
end
for n = 1, #taken, 2 do
  redis.call("ZADD", KEYS[4], ARGV[3], taken[n])
end
table.insert(taken, 1, redis.call("ZCARD", KEYS[1]))
return taken
