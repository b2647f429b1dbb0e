-- Counters of the usage, for the scripts that name this part under USES: each is a field of the tenant's day and, with
-- the same name, of the account's day. Reports read these fields and count nothing.
--
-- The script declares usage and account_usage under KEYS.
local function book(field, amount)
  redis.call("HINCRBY", usage_key, field, amount)
  redis.call("HINCRBY", account_usage_key, field, amount)
end

local function expire_with_money(key, seconds)
  if redis.call("TTL", key) < 0 then
    redis.call("EXPIRE", key, seconds)
  end
end

