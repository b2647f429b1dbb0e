-- Store what fal reported about a generation, and let the generation be polled now, if the caller knows the
-- generation's token. The tokens are compared by their hashes: response times then do not reveal how much of a wrong
-- token was right. For a generation that the gateway gave up (by deadline or by an operator), a reported success is
-- stored too: the video is paid, and lost unless an operator revives the generation.
--
-- WHEN FULL  runs
-- KEYS  generation, due_poll, nudged_poll, paid_and_lost
-- ARGV  generation_id, token, callback (JSON), now_ms, reports_success ("1" or ""), given_up_codes (error codes of
--       given-up generations, each between spaces), terminal_statuses...
-- RETURNS  {"accepted", 1 if a nudge is wanted}  {"duplicate", 0}: this callback is stored already  {"ended", 0}
--          {"paid_and_lost", 0}  {"unknown", 0}: no such generation, or another token
local stored = redis.call("HMGET", generation_key, "d", "s", "c")
local record = stored[1] and cjson.decode(stored[1])
if not record or redis.sha1hex(record.callback_token) ~= redis.sha1hex(token) then
  return {"unknown", 0}
end
if stored[3] == callback then
  return {"duplicate", 0}
end
for n = terminal_statuses_start, #ARGV do
  if stored[2] == ARGV[n] then
    local code = type(record.error) == "table" and record.error.code or ""
    local given_up = string.find(given_up_codes, " " .. code .. " ", 1, true)
    if reports_success ~= "1" or record.erased == true or not given_up then
      return {"ended", 0}
    end
    redis.call("HSET", generation_key, "c", callback)
    redis.call("ZADD", paid_and_lost_key, "NX", now_ms, generation_id)
    return {"paid_and_lost", 0}
  end
end
redis.call("HSET", generation_key, "c", callback, "u", 1)
redis.call("ZADD", due_poll_key, now_ms, generation_id)
local nudge = redis.call("SET", nudged_poll_key, 1, "NX")
return {"accepted", nudge and 1 or 0}
