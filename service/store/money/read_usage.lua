-- Read some hashes of the usage, each of one day. The caller limits their number.
--
-- WHEN FULL  reads
-- KEYS  hashes...
-- ARGV  none
-- RETURNS  {field, value, field, value, ...} of each
local replies = {}
for n = hashes_start, #KEYS do
  replies[#replies + 1] = redis.call("HGETALL", KEYS[n])
end
return replies
