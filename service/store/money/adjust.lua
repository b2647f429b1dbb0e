-- Add a signed amount to the spent money in all three budget windows and in the usage of a day, if the cost is still
-- the one that the operator saw: by the version of the generation's record, or by the spent money of the end user's
-- day. All of it or nothing.
--
-- USES  book
-- USES  spend
-- WHEN FULL  runs
-- KEYS  generation, tenant_month, end_user_day, account_day (the three budget windows), ledger, usage,
--       account_usage, spending_of_day, spending_of_month, tenants_of_month
-- ARGV  amount, version (of the record; "": the adjustment has no record), record (after the adjustment),
--       expected_spent (of the end user's day; compared without a record), of_draft ("1": of a draft or a completion;
--       else ""), generation_id, model, outcome (that the usage has counted; each "" without a record),
--       tenant_id, pseudonym, day, operator, reason, retention_seconds (of usage)
-- RETURNS  {"adjusted", spent of the end user's day}  {"changed", spent of the end user's day}  {"gone"}: a window has
--          expired or never existed  {"below_zero"}
local windows = {tenant_month_key, end_user_day_key, account_day_key}
for _, window_key in ipairs(windows) do
  if redis.call("EXISTS", window_key) == 0 then
    return {"gone"}
  end
end
local spent = redis.call("HGET", end_user_day_key, "spent") or "0"
if version ~= "" then
  if redis.call("HGET", generation_key, "v") ~= version then
    return {"changed", spent}
  end
elseif spent ~= expected_spent then
  return {"changed", spent}
end
local function is_below_zero(value)
  return tonumber(value or 0) + amount < 0
end
for _, key in ipairs({tenant_month_key, end_user_day_key, account_day_key, usage_key}) do
  if is_below_zero(redis.call("HGET", key, "spent")) then
    return {"below_zero"}
  end
end
for _, key in ipairs({spending_of_day_key, spending_of_month_key}) do
  if is_below_zero(redis.call("ZSCORE", key, pseudonym)) then
    return {"below_zero"}
  end
end
if version ~= "" then
  redis.call("HSET", generation_key, "v", version + 1, "d", record)
end
for _, window_key in ipairs(windows) do
  redis.call("HINCRBY", window_key, "spent", amount)
end
spend(amount)
redis.call("XADD", ledger_key, "*", "k", "adjust", "g", generation_id, "t", tenant_id, "u", pseudonym, "h", 0,
  "s", amount, "day", day, "by", operator, "why", reason)
return {"adjusted", redis.call("HGET", end_user_day_key, "spent")}
