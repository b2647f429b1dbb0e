-- Entries of a generation in an index of terms, for the scripts that name this part under USES. An entry is a term of
-- 6 bytes and the id of the generation; terms are joined without a separator.
--
-- The script declares generation_id under ARGV. A generation has few terms: at most 16 pairs of metadata, and some more.
local TERM = 6
local function index_terms(key, added, removed)
  local words = {}
  for start = 1, #removed, TERM do
    words[#words + 1] = string.sub(removed, start, start + TERM - 1) .. generation_id
  end
  if #words > 0 then
    redis.call("ZREM", key, unpack(words))
  end
  words = {}
  for start = 1, #added, TERM do
    words[#words + 1] = 0
    words[#words + 1] = string.sub(added, start, start + TERM - 1) .. generation_id
  end
  if #words > 0 then
    redis.call("ZADD", key, unpack(words))
  end
end
