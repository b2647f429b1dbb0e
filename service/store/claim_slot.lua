-- Take queued generations that are due, each with an upstream slot, while there are slots. One that died between its
-- claim and its submit still has its slot and is given again without another.
--
-- KEYS  1 due:dispatch  2 nudged:dispatch  3 slots
-- ARGV  1 ms now  2 most to take  3 ms when the lease ends  4 slots there are
-- RETURNS  {entries in the due set, id, ms it was due, id, ms, ...}
redis.call("DEL", KEYS[2])
local found = redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", ARGV[1], "WITHSCORES", "LIMIT", 0, ARGV[2])
local free = ARGV[4] - redis.call("SCARD", KEYS[3])
local taken = {redis.call("ZCARD", KEYS[1])}
for n = 1, #found, 2 do
  local has = redis.call("SISMEMBER", KEYS[3], found[n]) == 1
  if has or free > 0 then
    if not has then
      redis.call("SADD", KEYS[3], found[n])
      free = free - 1
    end
    redis.call("ZADD", KEYS[1], ARGV[3], found[n])
    table.insert(taken, found[n])
    table.insert(taken, found[n + 1])
  end
end
return taken
