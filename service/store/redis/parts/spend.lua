-- Booking of spent money in the usage, for the scripts that name this part under USES: the sum of the day, and the end
-- user's entry in the lists of the day and of the month. Reports read these lists and add nothing up.
--
-- The script declares usage, spending_of_day and spending_of_month under KEYS, and pseudonym, retention_seconds (of usage)
-- and of_draft ("1": of a draft or a completion) under ARGV. Each command costs O(log n) in the end users of the month.
local function spend(amount)
  redis.call("HINCRBY", usage_key, "spent", amount)
  if of_draft == "1" then
    redis.call("HINCRBY", usage_key, "draft_spent", amount)
  end
  redis.call("ZINCRBY", spending_of_day_key, amount, pseudonym)
  redis.call("ZINCRBY", spending_of_month_key, amount, pseudonym)
  for _, key in ipairs({usage_key, spending_of_day_key, spending_of_month_key}) do
    if redis.call("TTL", key) < 0 then
      redis.call("EXPIRE", key, retention_seconds)
    end
  end
end

