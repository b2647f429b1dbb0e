-- When endpoint queues are due, for the scripts that name this part under USES and declare due_deliver under KEYS.
--
-- A receiver is proven while its last attempt succeeded within a few seconds. The endpoint queues of a tenant are in two
-- sets: those of proven receivers, and the others (suffix `:unproven`). For each of the two, a set has the tenants. A
-- claim therefore finds a tenant's turn, and the proven receivers of a tenant, at a cost that does not depend on the
-- number of endpoint queues.
local UNPROVEN = ":unproven"
local TAG = string.match(due_deliver_key, "^(.*)due:deliver$")

local function tenant_of(queue_name)
  return string.match(queue_name, "^[^:]*")
end

local function queues_of(tenant, suffix)
  return TAG .. "tenant:" .. tenant .. ":endpoint_queues" .. suffix
end

-- The suffix of the set that has this endpoint queue, and its score there; nil: it is in none.
local function find_queue(queue_name)
  local tenant = tenant_of(queue_name)
  for _, suffix in ipairs({"", UNPROVEN}) do
    local score = redis.call("ZSCORE", queues_of(tenant, suffix), queue_name)
    if score then
      return suffix, score
    end
  end
end

-- Set the turn of a tenant. With a queue that is due it keeps its turn among the tenants, or gets one now.
local function refresh_turn(tenant, suffix, now)
  local turns = due_deliver_key .. suffix
  local first = redis.call("ZRANGE", queues_of(tenant, suffix), 0, 0, "WITHSCORES")[2]
  if not first then
    redis.call("ZREM", turns, tenant)
  elseif tonumber(first) > now then
    redis.call("ZADD", turns, first, tenant)
  else
    local turn = tonumber(redis.call("ZSCORE", turns, tenant) or now)
    redis.call("ZADD", turns, string.format("%.0f", math.min(turn, now)), tenant)
  end
end

-- Remove an endpoint queue that is empty. A turn that its tenant keeps for other queues may be early: a claim corrects it.
local function remove_queue(queue_name)
  local tenant = tenant_of(queue_name)
  for _, suffix in ipairs({"", UNPROVEN}) do
    local queues = queues_of(tenant, suffix)
    redis.call("ZREM", queues, queue_name)
    if redis.call("EXISTS", queues) == 0 then
      redis.call("ZREM", due_deliver_key .. suffix, tenant)
    end
  end
end

-- Set when an endpoint queue is due. `sooner`: a queue that is due earlier stays so.
local function schedule_queue(queue_name, due, now, sooner)
  local tenant = tenant_of(queue_name)
  local proven = redis.call("HEXISTS", TAG .. "endpoint:" .. queue_name .. ":health", "proven") == 1
  local suffix = proven and "" or UNPROVEN
  local before, score = find_queue(queue_name)
  if before and before ~= suffix then
    redis.call("ZREM", queues_of(tenant, before), queue_name)
    refresh_turn(tenant, before, now)
  end
  if sooner and score then
    due = math.min(due, tonumber(score))
  end
  redis.call("ZADD", queues_of(tenant, suffix), string.format("%.0f", due), queue_name)
  refresh_turn(tenant, suffix, now)
end
