-- Keep what fal reported of a generation and let it be polled now, if whoever reported knows the generation's token and
-- it has not ended. The tokens are compared by their hashes, so that time tells nothing of how much of one was right.
--
-- KEYS  1 generation  2 due:poll  3 nudged:poll
-- ARGV  1 id  2 token  3 callback  4 ms now  5... statuses in which a generation has ended
-- RETURNS  {"accepted", 1 if a nudge is wanted}  {"duplicate", 0}: just this one is kept already  {"ended", 0}
--          {"unknown", 0}: no such generation, or not its token
local stored = redis.call("HMGET", KEYS[1], "d", "s", "c")
if not stored[1] or redis.sha1hex(cjson.decode(stored[1]).callback_token) ~= redis.sha1hex(ARGV[2]) then
  return {"unknown", 0}
end
for n = 5, #ARGV do
  if stored[2] == ARGV[n] then
    return {"ended", 0}
  end
end
if stored[3] == ARGV[3] then
  return {"duplicate", 0}
end
redis.call("HSET", KEYS[1], "c", ARGV[3])
redis.call("ZADD", KEYS[2], ARGV[4], ARGV[1])
local wanted = redis.call("SET", KEYS[3], 1, "NX", "PX", 1000)
return {"accepted", wanted and 1 or 0}
