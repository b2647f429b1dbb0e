-- Delete a tenant, its API keys, its trusted issuers and its endpoints, unless it has work in flight: generations that
-- have not ended, in any state, or pending deliveries.
--
-- WHEN FULL  runs
-- KEYS  tenant, api_keys, tenants, tenant_queue, tenant_slots, slotless, pending_deliveries, active_tenants,
--       idle_tenants, paused_tenants, endpoints, failing_receivers, deleted_tenant, budget_shares, waiting_tenants,
--       trusted_issuers, end_users, end_user_names, blocked_end_users
-- ARGV  version (at which it may be deleted; "": any), tenant_id, api_key_prefix (of the keys of API keys), used_suffix
--       (of the keys of their last uses),
--       endpoint_prefix, health_suffix (of the keys of the health of its endpoints), deleted (record of the deletion),
--       retention_seconds (of money), trusted_issuer_prefix (of the keys of trusted issuers), issuer_prefix (of the
--       keys of the indexes by issuer)
-- RETURNS  {generations that have not ended, pending deliveries}; {0, 0}: the tenant was deleted; false: the tenant has
--          another version, or there is none
local before = redis.call("GET", tenant_key)
if version ~= "" and (not before or cjson.decode(before).version ~= tonumber(version)) then
  return false
end
local generations = redis.call("ZCARD", tenant_queue_key) + redis.call("SCARD", tenant_slots_key)
  + redis.call("SCARD", slotless_key)
local deliveries = redis.call("SCARD", pending_deliveries_key)
if generations + deliveries > 0 then
  return {generations, deliveries}
end
-- The API keys are read here: one that is created at the same time is deleted too.
for _, id in ipairs(redis.call("ZRANGE", api_keys_key, 0, -1)) do
  redis.call("DEL", api_key_prefix .. id, api_key_prefix .. id .. used_suffix)
end
local trusted = redis.call("HGETALL", trusted_issuers_key)
for i = 1, #trusted, 2 do
  local id = trusted[i]
  redis.call("DEL", trusted_issuer_prefix .. id, trusted_issuer_prefix .. id .. used_suffix)
  redis.call("HDEL", issuer_prefix .. trusted[i + 1], id)
end
for _, id in ipairs(redis.call("HKEYS", endpoints_key)) do
  redis.call("DEL", endpoint_prefix .. id .. health_suffix)
  redis.call("ZREM", failing_receivers_key, tenant_id .. ":" .. id)
end
for _, key in ipairs({tenants_key, active_tenants_key, idle_tenants_key}) do
  redis.call("ZREM", key, tenant_id)
end
redis.call("SREM", paused_tenants_key, tenant_id)
redis.call("ZREM", budget_shares_key, tenant_id)
redis.call("ZREM", waiting_tenants_key, tenant_id)
if before then -- a second deletion keeps the record of the first one
  redis.call("SET", deleted_tenant_key, deleted, "EX", retention_seconds)
end
redis.call("DEL", tenant_key, api_keys_key, endpoints_key, trusted_issuers_key)
redis.call("UNLINK", end_users_key, end_user_names_key, blocked_end_users_key) -- may have a million entries
return {0, 0}
