-- Delete an ended generation: record, index entries, idempotency key, due entries. No other key has its id.
--
-- USES  terms
-- WHEN FULL  runs
-- KEYS  generation, idempotency (or the generation's own key if it has no idempotency key), generations,
--       tenant_generations, end_user_generations, due_sweep, paid_and_lost, generation_terms, tenant_generation_terms
-- ARGV  generation_id, version (that was read), terms, tenant_terms (of the record, and of earlier statuses)
-- RETURNS  1 if it was deleted, 0 if the version has changed
if redis.call("HGET", generation_key, "v") ~= version then
  return 0
end
redis.call("DEL", generation_key, idempotency_key)
local indexes = {generations_key, tenant_generations_key, end_user_generations_key, due_sweep_key, paid_and_lost_key}
for _, key in ipairs(indexes) do
  redis.call("ZREM", key, generation_id)
end
index_terms(generation_terms_key, "", terms)
index_terms(tenant_generation_terms_key, "", tenant_terms)
return 1
