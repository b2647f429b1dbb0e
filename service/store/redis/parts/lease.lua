-- Extend leases, for the scripts that name this part under USES.
--
-- An entry is held by the calling process if its score is one that the process wrote. `argument` is the number in ARGV
-- of the first of `count` pairs: an id, and the scores that its entry may have, each between spaces. Entries that are
-- held get the score `score`, in `key` and in each of `copies`. The numbers of the others, counted from `number`, are
-- appended to `lost`. Returns how many are held.
local function extend(key, score, argument, count, number, lost, copies)
  local ids = {}
  for n = 1, count do
    ids[n] = ARGV[argument + 2 * n - 2]
  end
  local held = {}
  for n, found in ipairs(redis.call("ZMSCORE", key, unpack(ids))) do
    if found and string.find(ARGV[argument + 2 * n - 1], " " .. found .. " ", 1, true) then
      held[#held + 1] = score
      held[#held + 1] = ids[n]
    else
      lost[#lost + 1] = number + n - 1
    end
  end
  if #held > 0 then
    redis.call("ZADD", key, unpack(held))
    for _, copy in ipairs(copies) do
      redis.call("ZADD", copy, unpack(held))
    end
  end
  return #held / 2
end

