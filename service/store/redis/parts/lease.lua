-- Which of some entries are still held by the process that asks, for the scripts that name this part under USES: those
-- whose score is one that this process wrote. Of ARGV, from the one given: `count` pairs of an id and the scores that it
-- may have, each between blanks; `number` is the number of the first of them. Their new score is added. Answers how many
-- are held; the numbers of the others are appended to `lost`.
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

