-- Take what is due, for as long as a lease: until then nobody else is given it, after that it is due again.
--
-- WHEN FULL  runs
-- KEYS  1 due set  2 nudged flag of its drain
-- ARGV  1 ms now  2 most to take  3 ms when the lease ends
-- RETURNS  {entries in the due set, id, ms it was due, id, ms, ...}
redis.call("DEL", KEYS[2])
local found = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "WITHSCORES", "LIMIT", 0, ARGV[2])
for n = 1, #found, 2 do
  redis.call("ZADD", KEYS[1], ARGV[3], found[n])
end
table.insert(found, 1, redis.call("ZCARD", KEYS[1]))
return found
