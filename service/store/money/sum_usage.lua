-- Add up the usage of some days, for each of some tenants. The caller limits tenants times days: Redis serves no other
-- client meanwhile.
--
-- WHEN FULL  reads
-- KEYS  none
-- ARGV  usage_prefix (of the keys of usage), tenants (number of them), names... (the tenants' ids, then the days)
-- RETURNS  {field, sum, field, sum, ...} for each tenant
local first_day = names_start + tenants
local replies = {}
for n = names_start, first_day - 1 do
  local sums, order, reply = {}, {}, {}
  for day = first_day, #ARGV do
    local fields = redis.call("HGETALL", usage_prefix .. ARGV[n] .. ":" .. ARGV[day])
    for at = 1, #fields, 2 do
      if not sums[fields[at]] then
        sums[fields[at]] = 0
        order[#order + 1] = fields[at]
      end
      sums[fields[at]] = sums[fields[at]] + fields[at + 1]
    end
  end
  for _, field in ipairs(order) do
    reply[#reply + 1] = field
    reply[#reply + 1] = string.format("%.0f", sums[field])
  end
  replies[#replies + 1] = reply
end
return replies
