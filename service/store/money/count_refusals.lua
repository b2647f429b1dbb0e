-- Count refused creates in the usage of a tenant's day, and up to a bound for single end users.
--
-- USES  book
-- WHEN FULL  runs
-- KEYS  usage, account_usage, refused_end_users, spending_of_day, spending_of_month, tenants_of_month
-- ARGV  tenant_id, most_fields (of the end users of a day), retention_seconds (of usage), counts... (of each: error
--       code, pseudonym or "", number)
-- RETURNS  1
for n = counts_start, #ARGV, 3 do
  local code, pseudonym, count = ARGV[n], ARGV[n + 1], ARGV[n + 2]
  book("refused:" .. code, count)
  if pseudonym ~= "" then
    local field = pseudonym .. ":" .. code
    if redis.call("HLEN", refused_end_users_key) < tonumber(most_fields)
      or redis.call("HEXISTS", refused_end_users_key, field) == 1 then
      redis.call("HINCRBY", refused_end_users_key, field, count)
      redis.call("ZADD", spending_of_day_key, "NX", 0, pseudonym)
      redis.call("ZADD", spending_of_month_key, "NX", 0, pseudonym)
    end
  end
end
redis.call("ZADD", tenants_of_month_key, "NX", 0, tenant_id)
for _, key in ipairs({usage_key, account_usage_key, refused_end_users_key, spending_of_day_key, spending_of_month_key,
  tenants_of_month_key}) do
  expire_with_money(key, retention_seconds)
end
return 1
