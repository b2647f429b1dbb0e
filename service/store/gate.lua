-- Note how a submit went, or that the account is locked: failures in a row hold dispatch, then one real generation at
-- a time probes, and the first success opens it again. A locked account holds it at once.
--
-- KEYS  1 gate
-- ARGV  1 "ok", "failing" or "locked"  2 ms now  3 failures in a row that hold dispatch  4 reason
--       5 ms to wait before the first probe  6 ms to wait at most
-- RETURNS  "opened" or "shut" when this changed it, else ""
if ARGV[1] == "ok" then
  local shut = redis.call("HEXISTS", KEYS[1], "shut") == 1
  redis.call("HDEL", KEYS[1], "shut", "why", "since", "retry_at", "tries", "probe", "failures")
  return shut and "opened" or ""
end
local failures = redis.call("HINCRBY", KEYS[1], "failures", 1)
local shut = redis.call("HGET", KEYS[1], "shut")
if shut and redis.call("HDEL", KEYS[1], "probe") == 0 then
  if ARGV[1] == "locked" then
    redis.call("HSET", KEYS[1], "shut", ARGV[1], "why", ARGV[4])
  end
  return ""
elseif ARGV[1] ~= "locked" and failures < tonumber(ARGV[3]) then
  return ""
end
local tries = redis.call("HINCRBY", KEYS[1], "tries", 1)
local wait = math.min(ARGV[5] * 2 ^ math.min(tries - 1, 30), ARGV[6])
redis.call("HSET", KEYS[1], "shut", ARGV[1], "why", ARGV[4], "retry_at", string.format("%.0f", ARGV[2] + wait))
redis.call("HSETNX", KEYS[1], "since", ARGV[2])
return shut and "" or "shut"
