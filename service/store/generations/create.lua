-- Accept a generation and hold its cost in every budget window, or return the generation that its idempotency key has
-- created, or that of an equal request whose response was lost, or the reason for the refusal. All of it or nothing:
-- every check comes before the first write.
--
-- USES  fair
-- USES  book
-- USES  terms
-- WHEN FULL  refused
-- KEYS  generation, idempotency (that of the generation, if it has no idempotency key), generations,
--       tenant_generations, end_user_generations, generation_terms, tenant_generation_terms, due_dispatch, due_sweep,
--       nudged_dispatch, tenant_month, end_user_day, account_day (the three budget windows), ledger, tenant_queue,
--       end_user, end_users, end_user_names, usage, active_tenants, idle_tenants, virtual_time, gate,
--       undelivered_responses (unused where response_ms is ""), tenant, tenant_deliveries, draft (record of the draft,
--       which may have been erased since it was read; that of the generation, if it completes none), account_usage,
--       spending_of_day, spending_of_month, tenants_of_month
-- ARGV  generation_id, record, status, dispatch_ms (when it may be dispatched), sweep_ms (when it expires),
--       fingerprint, cost (to hold), tenant_month_limit, end_user_day_limit, account_day_limit (each "" without a
--       limit), end_user_daily_limit (generations; "": none), queue_limit (generations; "": none), daily_limit
--       (generations of the tenant), new_end_users_limit (of a day), deliveries_limit (stored ones; each "" without a
--       limit), tenant_id, end_user_id (as the tenant names it; "": none), retention_seconds (of money, usage and
--       names; older entries of the ledger are trimmed, and end users without a newer generation), rank (in the
--       tenant's queue), response_ms (until then its response is being sent; "": responses are not tracked), now_ms,
--       resend_window_ms, waits ("1": create nothing while a response to an equal request is being sent), attempt
--       ("first": the request was not sent before; "repeat": it was, so the first response of an equal request counts
--       as lost, whatever became of it; "": not known), tenant_must_exist ("1": the API key may come from a cache that
--       is older than the tenant's deletion), packed_tenant, packed_end_user (as the ledger has them), pseudonym,
--       model, term_entry (of its status, in the index of terms), tenant_terms (of the generation), memory_refusal
--       ("": none; else the reply: Redis has too little memory)
-- RETURNS  {"created", 1 if a nudge is wanted, generations of its tenant that are before it}  {"replayed", id}
--          {"mismatch", id}  {"gone"}  {"draft_gone"}  {"store_full"}  {"tenant_store_full"}  {"draining"}  {"blocked"}
--          {"over_budget", window 1 to 3, available}  {"over_count", count}  {"queue_full", queued}
--          {"over_daily_count", created}  {"new_end_users", count}  {"deliveries_full", stored}
--          {"unanswered", ms until which responses to equal requests are being sent}
if tenant_must_exist == "1" and redis.call("EXISTS", tenant_key) == 0 then
  return {"gone"}
end
if idempotency_key ~= generation_key then
  local bound = redis.call("GET", idempotency_key)
  if bound then
    local bound_id, bound_fingerprint = string.match(bound, "^(%S+) (%S+)$")
    return {bound_fingerprint == fingerprint and "replayed" or "mismatch", bound_id}
  end
end
if response_ms ~= "" and attempt ~= "first" then
  -- A lost response has score 0, that of a dead process an old score. So only the first one has to be read.
  local id, until_ms = unpack(redis.call("ZRANGE", undelivered_responses_key, 0, 0, "WITHSCORES"))
  if id and (attempt == "repeat" or tonumber(until_ms) <= tonumber(now_ms)) then
    -- PEXPIRE is first: a full Redis accepts a ZADD only after a write that it accepts.
    redis.call("PEXPIRE", undelivered_responses_key, resend_window_ms)
    redis.call("ZADD", undelivered_responses_key, response_ms, id)
    return {"replayed", id}
  end
  if id and waits == "1" then
    return {"unanswered", redis.call("ZRANGE", undelivered_responses_key, -1, -1, "WITHSCORES")[2]}
  end
end
-- Otherwise a completion could be created after the erasure of its end user has deleted the draft.
if draft_key ~= generation_key and redis.call("EXISTS", draft_key) == 0 then
  return {"draft_gone"}
end
if memory_refusal ~= "" then
  return {memory_refusal}
end
if redis.call("HEXISTS", gate_key, "draining") == 1 then
  return {"draining"}
end
local end_user = redis.call("HMGET", end_user_key, "blocked", "id")
if end_user[1] then
  return {"blocked"}
end
local is_new_end_user = end_user_id ~= "" and not end_user[2]
if queue_limit ~= "" then
  local queued = redis.call("ZCARD", tenant_queue_key)
  if queued >= tonumber(queue_limit) then
    return {"queue_full", queued}
  end
end
if daily_limit ~= "" or (is_new_end_user and new_end_users_limit ~= "") then
  local today = redis.call("HMGET", usage_key, "created", "new_end_users")
  local created, new_end_users = tonumber(today[1] or 0), tonumber(today[2] or 0)
  if daily_limit ~= "" and created >= tonumber(daily_limit) then
    return {"over_daily_count", created}
  end
  if is_new_end_user and new_end_users_limit ~= "" and new_end_users >= tonumber(new_end_users_limit) then
    return {"new_end_users", new_end_users}
  end
end
-- Refused here, where nothing is owed yet: the events of accepted generations are stored without a limit.
if deliveries_limit ~= "" then
  local stored = redis.call("ZCARD", tenant_deliveries_key)
  if stored >= tonumber(deliveries_limit) then
    return {"deliveries_full", stored}
  end
end
if end_user_daily_limit ~= "" then
  local count = tonumber(redis.call("HGET", end_user_day_key, "count") or 0)
  if count >= tonumber(end_user_daily_limit) then
    return {"over_count", count}
  end
end
local windows = {tenant_month_key, end_user_day_key, account_day_key}
for number, limit in ipairs({tenant_month_limit, end_user_day_limit, account_day_limit}) do
  if limit ~= "" then
    local money = redis.call("HMGET", windows[number], "held", "spent")
    local available = limit - (money[1] or 0) - (money[2] or 0)
    if tonumber(cost) > available then
      return {"over_budget", number, string.format("%.0f", available)}
    end
  end
end

local oldest_entry = string.format("%.0f", now_ms - retention_seconds * 1000)
local is_first = {}
for number, window_key in ipairs(windows) do
  redis.call("HINCRBY", window_key, "held", cost)
  if redis.call("HINCRBY", window_key, "count", 1) == 1 then
    redis.call("EXPIRE", window_key, retention_seconds)
    is_first[number] = true
  end
end
-- The lists of reports have who created anything, before any money is spent.
if is_first[1] then
  redis.call("ZADD", tenants_of_month_key, "NX", 0, tenant_id)
  expire_with_money(tenants_of_month_key, retention_seconds)
end
if is_first[2] then
  for _, key in ipairs({spending_of_day_key, spending_of_month_key}) do
    redis.call("ZADD", key, "NX", 0, pseudonym)
    expire_with_money(key, retention_seconds)
  end
end
-- The fields of a hold and of a settlement are the same, in the same order: a stream then stores their names once. A
-- settlement omits what its hold has, and a hold has ids in base64: 170 bytes for both together instead of 272.
redis.call("XADD", ledger_key, "MINID", "~", oldest_entry, "*", "k", "hold", "g", generation_id,
  "t", packed_tenant, "u", packed_end_user, "h", cost, "s", 0)
if end_user_id ~= "" then
  redis.call("HSETNX", end_user_key, "id", end_user_id)
  redis.call("EXPIRE", end_user_key, retention_seconds)
  if redis.call("ZADD", end_users_key, now_ms, end_user_id) == 1 then
    redis.call("ZADD", end_user_names_key, 0, end_user_id)
  end
  -- Two a create: more than a create adds.
  for _, name in ipairs(redis.call("ZRANGEBYSCORE", end_users_key, "-inf", oldest_entry, "LIMIT", 0, 2)) do
    redis.call("ZREM", end_users_key, name)
    redis.call("ZREM", end_user_names_key, name)
  end
  redis.call("EXPIRE", end_users_key, retention_seconds)
  redis.call("EXPIRE", end_user_names_key, retention_seconds)
end
book("m:" .. model .. ":created", 1)
book("m:" .. model .. ":held", cost)
if redis.call("HINCRBY", usage_key, "created", 1) == 1 then
  redis.call("EXPIRE", usage_key, retention_seconds)
end
if is_first[3] then
  redis.call("EXPIRE", account_usage_key, retention_seconds)
end
if is_new_end_user then
  redis.call("HINCRBY", usage_key, "new_end_users", 1)
end
if idempotency_key ~= generation_key then
  redis.call("SET", idempotency_key, generation_id .. " " .. fingerprint)
end
if response_ms ~= "" then
  redis.call("ZADD", undelivered_responses_key, response_ms, generation_id)
  redis.call("PEXPIRE", undelivered_responses_key, resend_window_ms)
end
redis.call("HSET", generation_key, "v", 1, "s", status, "d", record)
redis.call("ZADD", generations_key, 0, generation_id)
redis.call("ZADD", tenant_generations_key, 0, generation_id)
redis.call("ZADD", end_user_generations_key, 0, generation_id)
redis.call("ZADD", generation_terms_key, 0, term_entry)
if tenant_terms ~= "" then
  index_terms(tenant_generation_terms_key, tenant_terms, "")
end
redis.call("ZADD", due_dispatch_key, dispatch_ms, generation_id)
redis.call("ZADD", due_sweep_key, sweep_ms, generation_id)
redis.call("ZADD", tenant_queue_key, rank, generation_id)
enter(active_tenants_key, idle_tenants_key, virtual_time_key, tenant_id)
local nudge = redis.call("SET", nudged_dispatch_key, 1, "NX")
return {"created", nudge and 1 or 0, redis.call("ZRANK", tenant_queue_key, generation_id)}
