-- Read the names of end users of one tenant.
--
-- WHEN FULL  reads
-- KEYS  none
-- ARGV  end_user_prefix (of the keys of the tenant's end users), pseudonyms...
-- RETURNS  the id of each as the tenant names it; nil: it has none, or it was erased
local names = {}
for n = pseudonyms_start, #ARGV do
  names[#names + 1] = redis.call("HGET", end_user_prefix .. ARGV[n], "id")
end
return names
