-- Read the figures of the status page, in one script whose work does not grow with tenants and generations.
--
-- WHEN FULL  reads
-- KEYS  slots, unconfirmed, paid_and_lost, failing_receivers, dead_letters, waiting_tenants, account_day, budget_shares,
--       stored_bytes, trail_check, due_sets...
-- ARGV  long_failing_ms (of the first failure of a receiver), waiting (tenants), near (thousandths of a budget), budgets
--       (tenants), slow ("1": also what changes within minutes)
-- RETURNS  {used slots, unconfirmed generations, ms of the oldest of them, paid and lost generations, receivers that fail
--          since long_failing_ms, dead letters, {tenant, ms of its oldest queued generation, ...}, {ms of the oldest
--          entry of each due set}, {} or {held and spent of the account's day, {tenant, thousandths of its budget, ...},
--          {tenant that stores most, bytes}, {breaks of the running and of the last verification}}}; "" for what does
--          not exist
local function oldest_of(key)
  return redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2] or ""
end

local oldest = {}
for n = due_sets_start, #KEYS do
  oldest[#oldest + 1] = oldest_of(KEYS[n])
end
local changes_slowly = {}
if slow == "1" then
  local account = redis.call("HMGET", account_day_key, "held", "spent")
  local verified = redis.call("HMGET", trail_check_key, "breaks", "last_breaks")
  changes_slowly = {
    account[1] or 0,
    account[2] or 0,
    redis.call("ZREVRANGEBYSCORE", budget_shares_key, "+inf", near, "WITHSCORES", "LIMIT", 0, budgets),
    redis.call("ZREVRANGE", stored_bytes_key, 0, 0, "WITHSCORES"),
    {verified[1] or 0, verified[2] or 0},
  }
end
local unconfirmed = redis.call("ZCARD", unconfirmed_key)
return {
  redis.call("SCARD", slots_key),
  unconfirmed,
  unconfirmed > 0 and oldest_of(unconfirmed_key) or "",
  redis.call("ZCARD", paid_and_lost_key),
  redis.call("ZCOUNT", failing_receivers_key, "-inf", long_failing_ms),
  redis.call("ZCARD", dead_letters_key),
  redis.call("ZRANGE", waiting_tenants_key, 0, waiting - 1, "WITHSCORES"),
  oldest,
  changes_slowly,
}
