-- Count the pending deliveries of some tenants, and those that are due in a part of their endpoint queues; find since
-- when one of these queues only fails.
--
-- WHEN FULL  reads
-- KEYS  none
-- ARGV  tenant_prefix, endpoint_queue_prefix, now_ms, first, last (position of the first and of the last endpoint queue
--       of each tenant that is read), tenants...
-- RETURNS  {of each tenant: its pending deliveries, those that are due, 1 if it has more endpoint queues or 0, ms since
--          when the queue that fails for longest has had failures only or ""}
local found = {}
for n = tenants_start, #ARGV do
  local tenant, due, more, failing = tenant_prefix .. ARGV[n], 0, 0, nil
  for _, suffix in ipairs({"", ":unproven"}) do
    local names = redis.call("ZRANGE", tenant .. ":endpoint_queues" .. suffix, first, last)
    for _, name in ipairs(names) do
      due = due + redis.call("ZCOUNT", endpoint_queue_prefix .. name, "-inf", now_ms)
      if suffix ~= "" then -- a receiver that fails is not proven
        local since = tonumber(redis.call("HGET", endpoint_queue_prefix .. name .. ":health", "first") or nil)
        failing = since and math.min(since, failing or since) or failing
      end
    end
    if #names > last - first then
      more = 1
    end
  end
  found[#found + 1] = redis.call("SCARD", tenant .. ":pending_deliveries")
  found[#found + 1] = due
  found[#found + 1] = more
  found[#found + 1] = failing and string.format("%.0f", failing) or ""
end
return found
