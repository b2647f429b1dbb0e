-- Booking of spent money in the usage, for the scripts that name this part under USES (and `book` before it): the sums
-- of the day, and the entries in the lists of end users and of tenants. Reports read these and add nothing up.
--
-- The script declares usage, account_usage, spending_of_day, spending_of_month and tenants_of_month under KEYS, and
-- tenant_id, pseudonym, model ("": money of no generation), outcome (that the usage counts; "": of no generation),
-- retention_seconds (of usage) and of_draft ("1": of a draft or a completion) under ARGV. Each command costs O(log n)
-- in the end users or tenants of the month.
local function spend(amount)
  book("spent", amount)
  book("m:" .. model .. ":spent", amount)
  if tonumber(amount) ~= 0 and string.find(outcome, ":", 1, true) then
    book("cost:" .. outcome, amount)
  end
  if of_draft == "1" then
    redis.call("HINCRBY", usage_key, "draft_spent", amount)
  end
  redis.call("ZINCRBY", spending_of_day_key, amount, pseudonym)
  redis.call("ZINCRBY", spending_of_month_key, amount, pseudonym)
  redis.call("ZINCRBY", tenants_of_month_key, amount, tenant_id)
  for _, key in ipairs({usage_key, account_usage_key, spending_of_day_key, spending_of_month_key,
    tenants_of_month_key}) do
    expire_with_money(key, retention_seconds)
  end
end

