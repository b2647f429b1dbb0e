-- Delete an ended generation: record, index entries, idempotency key, due entries. No other key has its id.
--
-- WHEN FULL  runs
-- KEYS  generation, idempotency (or the generation's own key if it has no idempotency key), tenant_generations,
--       end_user_generations, due_sweep, paid_and_lost
-- ARGV  generation_id, version (that was read)
-- RETURNS  1 if it was deleted, 0 if the version has changed
if redis.call("HGET", generation_key, "v") ~= version then
  return 0
end
redis.call("DEL", generation_key, idempotency_key)
for _, key in ipairs({tenant_generations_key, end_user_generations_key, due_sweep_key, paid_and_lost_key}) do
  redis.call("ZREM", key, generation_id)
end
return 1
