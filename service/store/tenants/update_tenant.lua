-- Replace a tenant that still has the version that was read, and let dispatch decide anew about its queued generations.
--
-- USES  fair
-- WHEN FULL  runs
-- KEYS  tenant, active_tenants, idle_tenants, virtual_time, paused_tenants, tenant_queue
-- ARGV  version (that was read), after (the new record), tenant_id, is_paused ("1" or "")
-- RETURNS  1 if it was replaced, 0 if the version has changed or the tenant does not exist
local before = redis.call("GET", tenant_key)
if not before or cjson.decode(before).version ~= tonumber(version) then
  return 0
end
redis.call("SET", tenant_key, after)
redis.call(is_paused == "1" and "SADD" or "SREM", paused_tenants_key, tenant_id)
if redis.call("EXISTS", tenant_queue_key) == 1 then
  enter(active_tenants_key, idle_tenants_key, virtual_time_key, tenant_id)
end
return 1
