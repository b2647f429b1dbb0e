-- Record what share of its monthly budget each of some tenants has held and spent. A tenant without a budget, or a
-- deleted one, leaves the list.
--
-- WHEN FULL  runs
-- KEYS  budget_shares
-- ARGV  tenant_prefix (of tenants' keys), money_prefix, money_suffix (of the keys of tenants' money of this month),
--       tenants...
-- RETURNS  1
local BUDGET = '"monthly_budget":' -- as in tenant_states.lua: decoding the whole record takes five times as long
for n = tenants_start, #ARGV do
  local record = redis.call("GET", tenant_prefix .. ARGV[n])
  local _, found = string.find(record or "", BUDGET, 1, true)
  local budget = found and tonumber(string.match(record, "^%d+", found + 1))
  if budget then
    local money = redis.call("HMGET", money_prefix .. ARGV[n] .. money_suffix, "held", "spent")
    local used = (money[1] or 0) + (money[2] or 0)
    redis.call("ZADD", budget_shares_key, math.floor(used * 1000 / math.max(budget, 1)), ARGV[n])
  else
    redis.call("ZREM", budget_shares_key, ARGV[n])
  end
end
return 1
