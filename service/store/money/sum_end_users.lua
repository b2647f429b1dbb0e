-- Add up the budget windows of some days, for each of some end users of one tenant. The caller limits end users times
-- days: Redis serves no other client meanwhile.
--
-- WHEN FULL  reads
-- KEYS  none
-- ARGV  window_prefix (of the keys of the tenant's end users' windows), end_users (number of them), names... (their
--       pseudonyms, then the days)
-- RETURNS  {created, succeeded, failed, canceled, spent, held} for each end user
local first_day = names_start + end_users
local replies = {}
for n = names_start, first_day - 1 do
  local sums = {0, 0, 0, 0, 0, 0}
  for day = first_day, #ARGV do
    local found = redis.call("HMGET", window_prefix .. ARGV[n] .. ":" .. ARGV[day],
      "count", "succeeded", "failed", "canceled", "spent", "held")
    for column = 1, 6 do
      sums[column] = sums[column] + (found[column] or 0)
    end
  end
  for column = 1, 6 do
    sums[column] = string.format("%.0f", sums[column])
  end
  replies[#replies + 1] = sums
end
return replies
