-- Write new deliveries, for the scripts that name this part under USES: each in the queue of its endpoint, the queue in
-- the sets of those that are due, and all in the indexes of their tenant. Deliveries to a disabled endpoint become dead
-- letters at once.
--
-- The script also uses endpoint_queues. It declares due_deliver, tenant_deliveries, dead_letters, pending_deliveries and
-- delivery_keys... (record and endpoint queue of each delivery) under KEYS, and deliveries... (id, record and name of
-- the endpoint queue of each; the name is "" for a dead letter) under ARGV. Returns whether any delivery is to be sent.
local function deliver(due_ms)
  local any_pending = false
  local argument = deliveries_start
  for n = delivery_keys_start, #KEYS, 2 do
    local id, delivery, queue = ARGV[argument], ARGV[argument + 1], ARGV[argument + 2]
    redis.call("HSET", KEYS[n], "v", 0, "d", delivery)
    redis.call("ZADD", tenant_deliveries_key, 0, id)
    if queue == "" then
      redis.call("ZADD", dead_letters_key, 0, id)
    else
      redis.call("ZADD", KEYS[n + 1], due_ms, id)
      redis.call("SADD", pending_deliveries_key, id)
      schedule_queue(queue, tonumber(due_ms), tonumber(due_ms), true)
      any_pending = true
    end
    argument = argument + 3
  end
  return any_pending
end

