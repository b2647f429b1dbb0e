-- Record that fal refused a poll with 401 or 403. Refused polls of several generations, with no answered poll between
-- them, close the gate of the account. Refused polls of one tenant do so only while no other tenant has jobs at fal.
--
-- USES  fair
-- USES  hold
-- WHEN FULL  runs
-- KEYS  gate, locked_polls, closed_gates, active_tenants, idle_tenants, virtual_time, slots, tenant_slots
-- ARGV  now_ms, generation_id, sent_ms (when the poll was sent), enough (generations that close the gate), reason,
--       first_wait_ms (before the first probe), longest_wait_ms, tenant_prefix (of tenants' keys),
--       memory_ms (for which a refused poll counts), tenant_id
-- RETURNS  "shut" if this closes the gate, else ""
local state = redis.call("HMGET", gate_key, "cause", "accepted_at")
if state[2] and tonumber(sent_ms) < tonumber(state[2]) then
  return ""
end
redis.call("ZADD", locked_polls_key, now_ms, tenant_id .. ":" .. generation_id)
redis.call("ZREMRANGEBYSCORE", locked_polls_key, "-inf", now_ms - memory_ms)
redis.call("PEXPIRE", locked_polls_key, memory_ms)
local several_tenants = redis.call("SCARD", slots_key) == redis.call("SCARD", tenant_slots_key)
local found = redis.call("ZRANGE", locked_polls_key, 0, 199)
for _, member in ipairs(found) do
  several_tenants = several_tenants or string.match(member, "^([^:]*):") ~= tenant_id
end
if state[1] or #found < tonumber(enough) or (tonumber(enough) > 1 and not several_tenants) then
  return ""
end
hold(gate_key, "locked", reason, tonumber(now_ms), tonumber(first_wait_ms), tonumber(longest_wait_ms), false)
redis.call("HSET", gate_key, "closed_by", "polls")
release(closed_gates_key, active_tenants_key, idle_tenants_key, virtual_time_key, tenant_prefix)
return "shut"
