-- Write new deliveries, for the scripts that name this part under USES: each in the queue of its endpoint, the queue in
-- the sets of those that are due, and all in the indexes of their tenant. Deliveries to a disabled endpoint become dead
-- letters at once. The body of an event is stored once, with the number of the deliveries that refer to it.
--
-- The script also uses endpoint_queues. It declares due_deliver, tenant_deliveries, dead_letters, all_dead_letters,
-- pending_deliveries and delivery_keys... (record, endpoint queue and event of each delivery) under KEYS, and
-- deliveries... (of each: id, record, name of the endpoint queue or "" for a dead letter, id of the event, body of the
-- event or "" if an earlier delivery has it) under ARGV. Returns whether any delivery is to be sent.
local function deliver(due_ms)
  local any_pending = false
  local argument = deliveries_start
  for n = delivery_keys_start, #KEYS, 3 do
    local id, delivery, queue, event, body = unpack(ARGV, argument, argument + 4)
    redis.call("HSET", KEYS[n], "v", 0, "d", delivery, "e", event)
    if body ~= "" then
      redis.call("HSET", KEYS[n + 2], "b", body)
    end
    redis.call("HINCRBY", KEYS[n + 2], "n", 1)
    redis.call("ZADD", tenant_deliveries_key, 0, id)
    if queue == "" then
      redis.call("ZADD", dead_letters_key, 0, id)
      redis.call("ZADD", all_dead_letters_key, 0, id)
    else
      redis.call("ZADD", KEYS[n + 1], due_ms, id)
      redis.call("SADD", pending_deliveries_key, id)
      schedule_queue(queue, tonumber(due_ms), tonumber(due_ms), true)
      any_pending = true
    end
    argument = argument + 5
  end
  return any_pending
end

