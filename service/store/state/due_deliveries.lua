-- Count the pending deliveries of some tenants, and those that are due in a part of their endpoint queues.
--
-- WHEN FULL  reads
-- KEYS  none
-- ARGV  tenant_prefix, endpoint_queue_prefix, now_ms, first, last (position of the first and of the last endpoint queue
--       of each tenant that is read), tenants...
-- RETURNS  {of each tenant: its pending deliveries, those that are due, 1 if it has more endpoint queues or 0}
local found = {}
for n = tenants_start, #ARGV do
  local tenant, due, more = tenant_prefix .. ARGV[n], 0, 0
  for _, suffix in ipairs({"", ":unproven"}) do
    local names = redis.call("ZRANGE", tenant .. ":endpoint_queues" .. suffix, first, last)
    for _, name in ipairs(names) do
      due = due + redis.call("ZCOUNT", endpoint_queue_prefix .. name, "-inf", now_ms)
    end
    if #names > last - first then
      more = 1
    end
  end
  found[#found + 1] = redis.call("SCARD", tenant .. ":pending_deliveries")
  found[#found + 1] = due
  found[#found + 1] = more
end
return found
