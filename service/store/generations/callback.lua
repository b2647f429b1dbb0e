-- Keep what fal reported of a generation and let it be polled now, if the caller knows the generation's token. The tokens
-- are compared by their hashes, so that time tells nothing of how much of one was right. For a generation that the
-- gateway gave up (a deadline, an operator), a reported success is kept as well: paid, and lost unless it is revived.
--
-- WHEN FULL  runs
-- KEYS  1 generation  2 due:poll  3 nudged:poll  4 paid_and_lost
-- ARGV  1 id  2 token  3 callback  4 ms now  5 "1" when it reports a success  6 error codes of what was given up, each
--       between blanks  7... statuses in which a generation has ended
-- RETURNS  {"accepted", 1 if a nudge is wanted}  {"duplicate", 0}: just this one is kept already  {"ended", 0}
--          {"paid_and_lost", 0}  {"unknown", 0}: no such generation, or not its token
local stored = redis.call("HMGET", KEYS[1], "d", "s", "c")
local record = stored[1] and cjson.decode(stored[1])
if not record or redis.sha1hex(record.callback_token) ~= redis.sha1hex(ARGV[2]) then
  return {"unknown", 0}
end
if stored[3] == ARGV[3] then
  return {"duplicate", 0}
end
for n = 7, #ARGV do
  if stored[2] == ARGV[n] then
    local code = type(record.error) == "table" and record.error.code or ""
    if ARGV[5] ~= "1" or record.erased == true or not string.find(ARGV[6], " " .. code .. " ", 1, true) then
      return {"ended", 0}
    end
    redis.call("HSET", KEYS[1], "c", ARGV[3])
    redis.call("ZADD", KEYS[4], "NX", ARGV[4], ARGV[1])
    return {"paid_and_lost", 0}
  end
end
redis.call("HSET", KEYS[1], "c", ARGV[3], "u", 1)
redis.call("ZADD", KEYS[2], ARGV[4], ARGV[1])
local wanted = redis.call("SET", KEYS[3], 1, "NX")
return {"accepted", wanted and 1 or 0}
