-- Add a signed amount to what was spent, in all three windows and in the usage of a day, if the cost is still the one
-- that the operator saw: the version of the generation's record, or what the end user's day has spent. All or nothing.
--
-- WHEN FULL  runs
-- KEYS  1 generation  2, 3, 4 money of the tenant's month, the end user's day, the account's day  5 ledger
--       6 usage of the tenant's day  7 its spending by end user
-- ARGV  1 amount  2 version of the record ("": without a record)  3 record after it  4 expected spent of the end user's
--       day (compared without a record)  5 generation id ("": without a record)  6 tenant  7 pseudonym  8 day
--       9 operator  10 reason  11 seconds to keep usage
-- RETURNS  {"adjusted", spent of the end user's day}, {"changed", spent of the end user's day}, {"gone"} when a window
--          has expired or never was, {"below_zero"}
for n = 2, 4 do
  if redis.call("EXISTS", KEYS[n]) == 0 then
    return {"gone"}
  end
end
local spent = redis.call("HGET", KEYS[3], "spent") or "0"
if ARGV[2] ~= "" then
  if redis.call("HGET", KEYS[1], "v") ~= ARGV[2] then
    return {"changed", spent}
  end
elseif spent ~= ARGV[4] then
  return {"changed", spent}
end
local function too_little(value)
  return tonumber(value or 0) + ARGV[1] < 0
end
for _, n in ipairs({2, 3, 4, 6}) do
  if too_little(redis.call("HGET", KEYS[n], "spent")) then
    return {"below_zero"}
  end
end
if too_little(redis.call("ZSCORE", KEYS[7], ARGV[7])) then
  return {"below_zero"}
end
if ARGV[2] ~= "" then
  redis.call("HSET", KEYS[1], "v", ARGV[2] + 1, "d", ARGV[3])
end
for n = 2, 4 do
  redis.call("HINCRBY", KEYS[n], "spent", ARGV[1])
end
redis.call("HINCRBY", KEYS[6], "spent", ARGV[1])
redis.call("ZINCRBY", KEYS[7], ARGV[1], ARGV[7])
for n = 6, 7 do
  if redis.call("TTL", KEYS[n]) < 0 then
    redis.call("EXPIRE", KEYS[n], ARGV[11])
  end
end
redis.call("XADD", KEYS[5], "*", "k", "adjust", "g", ARGV[5], "t", ARGV[6], "u", ARGV[7], "h", 0, "s", ARGV[1], "day", ARGV[8],
  "by", ARGV[9], "why", ARGV[10])
return {"adjusted", redis.call("HGET", KEYS[3], "spent")}
