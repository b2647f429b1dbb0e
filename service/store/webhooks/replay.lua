-- Send a finished delivery again, if it still has the version that was read; or make a delivery that waits for its next
-- attempt due now. A delivery whose attempt is under way does not change.
--
-- USES  endpoint_queues
-- WHEN FULL  runs
-- KEYS  delivery, endpoint_queue, endpoint_leases, due_deliver, nudged_deliver, tenant_deliveries, dead_letters,
--       all_dead_letters, tenant, pending_deliveries
-- ARGV  delivery_id, version (that was read), after (the new record; "": it is pending), now_ms, queue_name
-- RETURNS  {1, 1 if a nudge is wanted} if it is due now  {0, 0} if it has changed or is under way  {-1, 0} if the
--          tenant was deleted
if redis.call("EXISTS", tenant_key) == 0 then
  return {-1, 0}
end
if redis.call("HGET", delivery_key, "v") ~= version or redis.call("ZSCORE", endpoint_leases_key, delivery_id) then
  return {0, 0}
end
if after ~= "" then
  redis.call("HSET", delivery_key, "v", version + 1, "d", after)
  redis.call("PERSIST", delivery_key)
  redis.call("ZADD", tenant_deliveries_key, 0, delivery_id)
  redis.call("ZREM", dead_letters_key, delivery_id)
  redis.call("ZREM", all_dead_letters_key, delivery_id)
end
redis.call("ZADD", endpoint_queue_key, now_ms, delivery_id)
redis.call("SADD", pending_deliveries_key, delivery_id)
schedule_queue(queue_name, tonumber(now_ms), tonumber(now_ms), true)
return {1, redis.call("SET", nudged_deliver_key, 1, "NX") and 1 or 0}
