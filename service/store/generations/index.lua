-- Write the entries of a generation in the index of all and in the indexes of terms, if the record still has the version
-- that was read. For records that a release without these indexes has created or changed.
--
-- USES  terms
-- WHEN FULL  runs
-- KEYS  generation, generations, generation_terms, tenant_generation_terms
-- ARGV  generation_id, version (that was read), terms, stale_terms (of other statuses), tenant_terms (of the record)
-- RETURNS  1 if they exist now, 0 if the version has changed
if redis.call("HGET", generation_key, "v") ~= version then
  return 0
end
redis.call("ZADD", generations_key, 0, generation_id)
index_terms(generation_terms_key, terms, stale_terms)
index_terms(tenant_generation_terms_key, tenant_terms, "")
return 1
