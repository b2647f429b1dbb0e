-- Claim due deliveries of one endpoint under a lease, within the limits of concurrent attempts of the endpoint and of
-- its tenant; then set when the endpoint queue is due next. An endpoint that only fails has a lower limit until it
-- answers again.
--
-- WHEN FULL  runs
-- KEYS  endpoint_queue, endpoint_leases, endpoint_health, tenant_leases, waiting_queues (endpoint queues that wait for
--       the tenant's limit), due_deliver
-- ARGV  queue_name, now_ms, limit (deliveries of this claim), lease_end_ms, endpoint_limit, failing_endpoint_limit,
--       failing_after (failures in a row from which on the lower limit holds), tenant_limit
-- RETURNS  {1 if another claim would find something, id, ms at which it was due, id, ms, ...}
local now = tonumber(now_ms)
redis.call("ZREMRANGEBYSCORE", endpoint_leases_key, "-inf", now_ms)
redis.call("ZREMRANGEBYSCORE", tenant_leases_key, "-inf", now_ms)
-- An attempt that ends must not wake a queue that has nothing to send: this one is added again below if it has to wait.
redis.call("SREM", waiting_queues_key, queue_name)
local failures = tonumber(redis.call("HGET", endpoint_health_key, "failures") or 0)
local concurrent = tonumber(failures >= tonumber(failing_after) and failing_endpoint_limit or endpoint_limit)
local endpoint_left = concurrent - redis.call("ZCARD", endpoint_leases_key)
local tenant_left = tonumber(tenant_limit) - redis.call("ZCARD", tenant_leases_key)
local allowed = math.min(tonumber(limit), endpoint_left, tenant_left)
local claimed = {}
if allowed > 0 then
  claimed = redis.call("ZRANGEBYSCORE", endpoint_queue_key, "-inf", now_ms, "WITHSCORES", "LIMIT", 0, allowed)
  for n = 1, #claimed, 2 do
    redis.call("ZADD", endpoint_queue_key, lease_end_ms, claimed[n])
    redis.call("ZADD", endpoint_leases_key, lease_end_ms, claimed[n])
    redis.call("ZADD", tenant_leases_key, lease_end_ms, claimed[n])
  end
end

local first_due = redis.call("ZRANGE", endpoint_queue_key, 0, 0, "WITHSCORES")[2]
local more = 0
if not first_due then
  redis.call("ZREM", due_deliver_key, queue_name)
else
  if tonumber(first_due) <= now then
    if endpoint_left <= #claimed / 2 then -- the end of an attempt makes the queue due, or else the end of a lease
      first_due = redis.call("ZRANGE", endpoint_leases_key, 0, 0, "WITHSCORES")[2] or first_due
    elseif tenant_left <= #claimed / 2 then
      redis.call("SADD", waiting_queues_key, queue_name)
      first_due = redis.call("ZRANGE", tenant_leases_key, 0, 0, "WITHSCORES")[2] or first_due
    else
      more = 1
      first_due = now_ms -- the other queues that are due come first
    end
  end
  redis.call("ZADD", due_deliver_key, first_due, queue_name)
end
table.insert(claimed, 1, more)
return claimed
