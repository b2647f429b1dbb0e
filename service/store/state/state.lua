-- Read the account-wide figures of /metrics, in one script that changes nothing.
--
-- WHEN FULL  reads
-- KEYS  slots, unconfirmed, account_day, paid_and_lost, due_sets... (of every work queue)
-- ARGV  none
-- RETURNS  {used slots, unconfirmed generations, ms of the oldest of them, held and spent of the account's day,
--          {entries of each due set}, {ms of the oldest entry of each}, paid and lost generations}; "" for what does
--          not exist
local function oldest_of(key)
  return redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2] or ""
end

local entries, oldest = {}, {}
for n = due_sets_start, #KEYS do
  entries[#entries + 1] = redis.call("ZCARD", KEYS[n])
  oldest[#oldest + 1] = oldest_of(KEYS[n])
end
local account = redis.call("HMGET", account_day_key, "held", "spent")
return {
  redis.call("SCARD", slots_key),
  redis.call("ZCARD", unconfirmed_key),
  oldest_of(unconfirmed_key),
  account[1] or 0,
  account[2] or 0,
  entries,
  oldest,
  redis.call("ZCARD", paid_and_lost_key),
}
