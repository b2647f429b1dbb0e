-- Accept a generation, or answer with the one its idempotency key already made. All of it or nothing.
--
-- KEYS  1 generation  2 idempotency key (unused when ARGV[7] is "")  3 index of the tenant  4 index of the end user
--       5 due:dispatch  6 due:sweep  7 nudged:dispatch
-- ARGV  1 id  2 record  3 status  4 ms when it may be dispatched  5 ms when it expires  6 fingerprint
--       7 "1" when there is an idempotency key
-- RETURNS  {"created", 1 if a nudge is wanted}  {"replayed", its id}  {"mismatch", its id}
if ARGV[7] == "1" then
  local bound = redis.call("GET", KEYS[2])
  if bound then
    local id, fingerprint = string.match(bound, "^(%S+) (%S+)$")
    if fingerprint ~= ARGV[6] then
      return {"mismatch", id}
    end
    return {"replayed", id}
  end
  redis.call("SET", KEYS[2], ARGV[1] .. " " .. ARGV[6])
end
redis.call("HSET", KEYS[1], "v", 1, "s", ARGV[3], "d", ARGV[2])
redis.call("ZADD", KEYS[3], 0, ARGV[1])
redis.call("ZADD", KEYS[4], 0, ARGV[1])
redis.call("ZADD", KEYS[5], ARGV[4], ARGV[1])
redis.call("ZADD", KEYS[6], ARGV[5], ARGV[1])
local wanted = redis.call("SET", KEYS[7], 1, "NX", "PX", 1000)
return {"created", wanted and 1 or 0}
