-- Read the first entries of a range from several terms of one index, all at one moment: a generation that moves from one
-- term to another meanwhile is in exactly one of them.
--
-- WHEN FULL  reads
-- KEYS  generation_terms
-- ARGV  oldest_first (1 or ""), limit (entries of each term), bounds... (the first and the last bound of each term)
-- RETURNS  the entries of each term
local found = {}
for n = bounds_start, #ARGV, 2 do
  if oldest_first == "1" then
    found[#found + 1] = redis.call("ZRANGEBYLEX", generation_terms_key, ARGV[n], ARGV[n + 1], "LIMIT", 0, limit)
  else
    found[#found + 1] = redis.call("ZREVRANGEBYLEX", generation_terms_key, ARGV[n], ARGV[n + 1], "LIMIT", 0, limit)
  end
end
return found
