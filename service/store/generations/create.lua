-- Accept a generation and hold its cost in every scope, or answer with the one its idempotency key already made, or
-- say what stands against it. All of it or nothing: every check comes before the first write.
--
-- USES  fair
-- WHEN FULL  refused
-- KEYS  1 generation  2 idempotency key (unused when ARGV[7] is "")  3 index of the tenant  4 index of the end user
--       5 due:dispatch  6 due:sweep  7 nudged:dispatch  8, 9, 10 money of the tenant's month, the end user's day, the
--       account's day  11 ledger  12 queued of the tenant  13 the end user  14 usage of the tenant's day  15 fair
--       16 resting  17 present  18 gate  19 unanswered (unused when ARGV[20] is "")  20 the tenant
-- ARGV  1 id  2 record  3 status  4 ms when it may be dispatched  5 ms when it expires  6 fingerprint
--       7 "1" when there is an idempotency key  8 cost to hold  9, 10, 11 limits of the three scopes ("": none)
--       12 most generations of the end user a day ("": no limit)  13 most queued ("": no limit)  14 tenant
--       15 pseudonym  16 end user as the tenant names it ("": none)  17 seconds to keep money, usage and names
--       18 oldest ledger entry to keep  19 its rank in the tenant's queue  20 ms until which its answer is under way
--       ("": nobody asks)  21 ms now  22 ms to remember it by  23 generations whose answers are somebody else's, by id
--       24 "1" when the tenant must exist: its key is believed for a moment after the tenant was deleted
--       25, 26 tenant and pseudonym as the ledger has them  27 "1" when Redis has no room for anything new
-- RETURNS  {"created", 1 if a nudge is wanted, how many of its tenant go before it}  {"replayed", its id}
--          {"mismatch", its id}  {"gone"}  {"store_full"}  {"draining"}  {"blocked"}
--          {"over_budget", scope 1 to 3, available}  {"over_count", count}  {"queue_full", queued}
--          {"resent", id of the one whose answer was lost}
--          {"unanswered", id and ms until which its answer is under way, of each such}
if ARGV[24] == "1" and redis.call("EXISTS", KEYS[20]) == 0 then
  return {"gone"}
end
if ARGV[7] == "1" then
  local bound = redis.call("GET", KEYS[2])
  if bound then
    local id, fingerprint = string.match(bound, "^(%S+) (%S+)$")
    return {fingerprint == ARGV[6] and "replayed" or "mismatch", id}
  end
end
if ARGV[20] ~= "" then
  local fresh = {"unanswered"}
  local marks = redis.call("ZRANGE", KEYS[19], 0, -1, "WITHSCORES")
  for n = 1, #marks, 2 do
    if tonumber(marks[n + 1]) <= tonumber(ARGV[21]) then
      redis.call("PEXPIRE", KEYS[19], ARGV[22]) -- first: a full Redis takes a ZADD only after a write that it takes
      redis.call("ZADD", KEYS[19], ARGV[20], marks[n])
      return {"resent", marks[n]}
    elseif not string.find(ARGV[23], marks[n], 1, true) then
      fresh[#fresh + 1] = marks[n]
      fresh[#fresh + 1] = marks[n + 1]
    end
  end
  if #fresh > 1 then
    return fresh
  end
end
if ARGV[27] == "1" then
  return {"store_full"}
end
if redis.call("HEXISTS", KEYS[18], "draining") == 1 then
  return {"draining"}
end
if redis.call("HGET", KEYS[13], "blocked") then
  return {"blocked"}
end
if ARGV[13] ~= "" then
  local queued = redis.call("ZCARD", KEYS[12])
  if queued >= tonumber(ARGV[13]) then
    return {"queue_full", queued}
  end
end
if ARGV[12] ~= "" then
  local count = tonumber(redis.call("HGET", KEYS[9], "count") or 0)
  if count >= tonumber(ARGV[12]) then
    return {"over_count", count}
  end
end
for scope = 1, 3 do
  if ARGV[8 + scope] ~= "" then
    local money = redis.call("HMGET", KEYS[7 + scope], "held", "spent")
    local available = ARGV[8 + scope] - (money[1] or 0) - (money[2] or 0)
    if tonumber(ARGV[8]) > available then
      return {"over_budget", scope, string.format("%.0f", available)}
    end
  end
end

for scope = 1, 3 do
  redis.call("HINCRBY", KEYS[7 + scope], "held", ARGV[8])
  if redis.call("HINCRBY", KEYS[7 + scope], "count", 1) == 1 then
    redis.call("EXPIRE", KEYS[7 + scope], ARGV[17])
  end
end
-- The fields of a hold and of a settlement are the same, in the same order: a stream then stores their names once. A
-- settlement leaves out what its hold says, and a hold has ids in base64: 170 bytes for both together instead of 272.
redis.call("XADD", KEYS[11], "MINID", "~", ARGV[18], "*", "k", "hold", "g", ARGV[1], "t", ARGV[25], "u", ARGV[26], "h", ARGV[8], "s", 0)
if ARGV[16] ~= "" then
  redis.call("HSETNX", KEYS[13], "id", ARGV[16])
  redis.call("EXPIRE", KEYS[13], ARGV[17])
end
if redis.call("HINCRBY", KEYS[14], "created", 1) == 1 then
  redis.call("EXPIRE", KEYS[14], ARGV[17])
end
if ARGV[7] == "1" then
  redis.call("SET", KEYS[2], ARGV[1] .. " " .. ARGV[6])
end
if ARGV[20] ~= "" then
  redis.call("ZADD", KEYS[19], ARGV[20], ARGV[1])
  redis.call("PEXPIRE", KEYS[19], ARGV[22])
end
redis.call("HSET", KEYS[1], "v", 1, "s", ARGV[3], "d", ARGV[2])
redis.call("ZADD", KEYS[3], 0, ARGV[1])
redis.call("ZADD", KEYS[4], 0, ARGV[1])
redis.call("ZADD", KEYS[5], ARGV[4], ARGV[1])
redis.call("ZADD", KEYS[6], ARGV[5], ARGV[1])
redis.call("ZADD", KEYS[12], ARGV[19], ARGV[1])
enter(KEYS[15], KEYS[16], KEYS[17], ARGV[14])
local wanted = redis.call("SET", KEYS[7], 1, "NX")
return {"created", wanted and 1 or 0, redis.call("ZRANK", KEYS[12], ARGV[1])}
