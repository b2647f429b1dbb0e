-- End every hold of dispatch, of the account and of its tenants, and forget the evidence.
--
-- USES  fair
-- USES  hold
-- WHEN FULL  runs
-- KEYS  1 gate  2 failed  3 locked_polls  4 held  5 fair  6 resting  7 present
-- ARGV  1 prefix of tenants' keys
-- RETURNS  nothing
for _, tenant in ipairs(redis.call("ZRANGE", KEYS[4], 0, -1)) do
  redis.call("DEL", ARGV[1] .. tenant .. ":failed")
end
redis.call("DEL", KEYS[1], KEYS[2], KEYS[3])
release(KEYS[4], KEYS[5], KEYS[6], KEYS[7], ARGV[1])
