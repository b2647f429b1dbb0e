-- Forget an ended generation: record, indexes, idempotency key, due entries. Nothing else knows its id.
--
-- WHEN FULL  runs
-- KEYS  1 generation  2 idempotency key (or the generation's own key where there is none)  3 index of the tenant
--       4 index of the end user  5 due:sweep  6 paid_and_lost
-- ARGV  1 id  2 version seen
-- RETURNS  1 when it was forgotten, 0 when it has moved since
if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
  return 0
end
redis.call("DEL", KEYS[1], KEYS[2])
redis.call("ZREM", KEYS[3], ARGV[1])
redis.call("ZREM", KEYS[4], ARGV[1])
redis.call("ZREM", KEYS[5], ARGV[1])
redis.call("ZREM", KEYS[6], ARGV[1])
return 1
