-- Read end users of one tenant: records, money, stored generations, and when the last one was created.
--
-- WHEN FULL  reads
-- KEYS  end_users, spending_of_month
-- ARGV  end_user_prefix (of the keys of the tenant's end users), generations_suffix (of the keys of their generations),
--       money_prefix, money_suffix (of the keys of their money of today), pseudonyms...
-- RETURNS  rows... (of each: id, refusals, blocked, block_reason, held, spent and count of today, spent of this month,
--          stored generations, ms of the last one; "" for what does not exist)
local rows = {}
local function add(value)
  rows[#rows + 1] = value or ""
end
for n = pseudonyms_start, #ARGV do
  local pseudonym = ARGV[n]
  local record = redis.call("HMGET", end_user_prefix .. pseudonym, "id", "refusals", "blocked", "block_reason")
  local money = redis.call("HMGET", money_prefix .. pseudonym .. money_suffix, "held", "spent", "count")
  for field = 1, 4 do
    add(record[field])
  end
  for field = 1, 3 do
    add(money[field])
  end
  add(redis.call("ZSCORE", spending_of_month_key, pseudonym))
  add(redis.call("ZCARD", end_user_prefix .. pseudonym .. generations_suffix))
  add(record[1] and redis.call("ZSCORE", end_users_key, record[1]))
end
return rows
