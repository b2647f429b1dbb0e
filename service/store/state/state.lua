-- What /metrics tells of everybody together, in one read that changes nothing.
--
-- WHEN FULL  reads
-- KEYS  1 slots  2 unconfirmed  3 money of the account's day  4 due:deliver  5 paid_and_lost  6... every due set
-- ARGV  1 prefix of lanes  2 most lanes to look at  3 ms now
-- RETURNS  {slots used, unconfirmed, ms of the oldest of them, held and spent of the account, {entries of each due set},
--          {ms of the oldest of each}, {lane, undone deliveries in it, those of them that are due, lane, ...}, paid and
--          lost};
--          "" for what there is none of
local function oldest_of(key)
  return redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2] or ""
end

local lanes = {}
for _, lane in ipairs(redis.call("ZRANGE", KEYS[4], 0, ARGV[2] - 1)) do
  lanes[#lanes + 1] = lane
  lanes[#lanes + 1] = redis.call("ZCARD", ARGV[1] .. lane)
  lanes[#lanes + 1] = redis.call("ZCOUNT", ARGV[1] .. lane, "-inf", ARGV[3])
end
local entries, oldest = {}, {}
for n = 6, #KEYS do
  entries[#entries + 1] = redis.call("ZCARD", KEYS[n])
  oldest[#oldest + 1] = oldest_of(KEYS[n])
end
local account = redis.call("HMGET", KEYS[3], "held", "spent")
return {
  redis.call("SCARD", KEYS[1]),
  redis.call("ZCARD", KEYS[2]),
  oldest_of(KEYS[2]),
  account[1] or 0,
  account[2] or 0,
  entries,
  oldest,
  lanes,
  redis.call("ZCARD", KEYS[5]),
}
