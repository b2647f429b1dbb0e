-- Read end users of one tenant: records, money, stored generations, and when the last one was created.
--
-- WHEN FULL  reads
-- KEYS  end_users, spending_of_month
-- ARGV  end_user_prefix (of the keys of the tenant's end users), generations_suffix (of the keys of their generations),
--       money_prefix, money_suffix (of the keys of their money of today), brief ("1": without the money of today and the
--       stored generations), pseudonyms...
-- RETURNS  rows... (of each: id, refusals, blocked, block_reason, held, spent and count of today, spent of this month,
--          stored generations, ms of the last one; "" for what does not exist or was not read)
local pseudonyms, records, names = {}, {}, {}
for n = pseudonyms_start, #ARGV do
  local record = redis.call("HMGET", end_user_prefix .. ARGV[n], "id", "refusals", "blocked", "block_reason")
  pseudonyms[#pseudonyms + 1] = ARGV[n]
  records[#records + 1] = record
  names[#names + 1] = record[1] or ""
end
if #pseudonyms == 0 then
  return {}
end
local of_month = redis.call("ZMSCORE", spending_of_month_key, unpack(pseudonyms))
local seen = redis.call("ZMSCORE", end_users_key, unpack(names))
local rows = {}
local function add(value)
  rows[#rows + 1] = value or ""
end
for n, pseudonym in ipairs(pseudonyms) do
  local money, generations = {}, 0
  if brief == "" then
    money = redis.call("HMGET", money_prefix .. pseudonym .. money_suffix, "held", "spent", "count")
    generations = redis.call("ZCARD", end_user_prefix .. pseudonym .. generations_suffix)
  end
  for field = 1, 4 do
    add(records[n][field])
  end
  for field = 1, 3 do
    add(money[field])
  end
  add(of_month[n])
  add(generations)
  add(records[n][1] and seen[n])
end
return rows
