-- Extend the leases of deliveries under way that are still held: in the queue of their receiver (the lane), among the
-- leased of this queue, and among those under way of the tenant. A queue that waits for the end of one of these leases
-- then waits for the new end, or for what is due in it before that.
--
-- WHEN FULL  runs
-- USES  lease
-- KEYS  1 due:deliver  2... of each receiver: lane, leased of the lane, under way of the tenant
-- ARGV  1 ms now  2 ms when the leases end  3... of each receiver: name of the lane, number of its deliveries, and of each
--       delivery its id and the scores it may have, each between blanks
-- RETURNS  {numbers of the deliveries that are not held any more, from 1}
local function first_of(key)
  return tonumber(redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2])
end

local function waits_for_one_of(due, argument, count)
  for n = 1, due and count or 0 do
    if string.find(ARGV[argument + 2 * n - 1], " " .. due .. " ", 1, true) then
      return true
    end
  end
  return false
end

local lost, argument, number = {}, 3, 1
for key = 2, #KEYS, 3 do
  local lane, leased, delivering = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local name, count = ARGV[argument], tonumber(ARGV[argument + 1])
  local held = extend(lane, ARGV[2], argument + 2, count, number, lost, {leased, delivering})
  if held > 0 and waits_for_one_of(redis.call("ZSCORE", KEYS[1], name), argument + 2, count) then
    local first = first_of(lane)
    if first <= tonumber(ARGV[1]) then -- due, but no more may be under way: it waits for the first lease that ends
      first = math.min(first_of(leased), first_of(delivering))
    end
    redis.call("ZADD", KEYS[1], "XX", string.format("%.0f", first), name)
  end
  argument, number = argument + 2 + 2 * count, number + count
end
return lost
