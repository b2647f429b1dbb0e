-- Delete a trusted issuer of a tenant, and remove it from both indexes.
--
-- WHEN FULL  runs
-- KEYS  record, used, issuers_of_tenant, issuers_by_name
-- ARGV  id
-- RETURNS  1 if it was deleted, 0 if the tenant has no such trusted issuer
redis.call("HDEL", issuers_by_name_key, id)
redis.call("DEL", record_key, used_key)
return redis.call("HDEL", issuers_of_tenant_key, id)
