-- Delete deliveries of one tenant: records, entries in their endpoint queues, leases, index entries, and their entries
-- in the due set of the sweep. All of them or none: with a pending delivery among them nothing changes, unless the
-- caller says otherwise, so that a replay that was answered "pending" is sent. An attempt under way then finds no
-- record to write to. The body of an event is deleted with the last delivery that refers to it.
--
-- USES  endpoint_queues
-- WHEN FULL  runs
-- KEYS  tenant_deliveries, dead_letters, all_dead_letters, due_deliver, due_sweep, pending_deliveries,
--       undelivered_tests, delivery_keys... (of each delivery: record, endpoint queue, endpoint leases)
-- ARGV  with_pending ("1": pending deliveries are deleted too), event_prefix (of the keys of events), deliveries... (id
--       and name of the endpoint queue of each)
-- RETURNS  1 if they were deleted, 0 if one is pending
local found = {}
for n = deliveries_start, #ARGV, 2 do
  local key = delivery_keys_start + (n - deliveries_start) / 2 * 3
  found[#found + 1] = {
    id = ARGV[n],
    queue_name = ARGV[n + 1],
    record_key = KEYS[key],
    queue_key = KEYS[key + 1],
    leases_key = KEYS[key + 2],
  }
end
if with_pending ~= "1" then
  for _, delivery in ipairs(found) do
    if redis.call("ZSCORE", delivery.queue_key, delivery.id) then
      return 0
    end
  end
end
for _, delivery in ipairs(found) do
  local event = redis.call("HGET", delivery.record_key, "e")
  redis.call("DEL", delivery.record_key)
  if event and redis.call("HINCRBY", event_prefix .. event, "n", -1) <= 0 then
    redis.call("DEL", event_prefix .. event)
  end
  redis.call("SREM", pending_deliveries_key, delivery.id)
  redis.call("SREM", undelivered_tests_key, delivery.id)
  for _, key in ipairs({
    delivery.queue_key, delivery.leases_key, tenant_deliveries_key, dead_letters_key, all_dead_letters_key,
    due_sweep_key
  }) do
    redis.call("ZREM", key, delivery.id)
  end
  if redis.call("EXISTS", delivery.queue_key) == 0 then
    remove_queue(delivery.queue_name)
  end
end
return 1
