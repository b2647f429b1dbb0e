-- New deliveries, for the scripts that name this part under USES: each in its lane, its lane in the due set, and all in
-- their tenant's index; those whose endpoint is disabled go straight to the dead letter.
--
-- Of KEYS, from the one given: all deliveries of the tenant, its dead ones, its pending ones, then record and lane of
-- each.
-- Of ARGV, from the one given: id, record and name of the lane ("": to the dead letter) of each.
-- Answers whether there is something to send.
local function deliver(due, at, key, argument)
  local waiting = false
  for n = key + 3, #KEYS, 2 do
    local id, record, lane = ARGV[argument], ARGV[argument + 1], ARGV[argument + 2]
    redis.call("HSET", KEYS[n], "v", 0, "d", record)
    redis.call("ZADD", KEYS[key], 0, id)
    if lane == "" then
      redis.call("ZADD", KEYS[key + 1], 0, id)
    else
      redis.call("ZADD", KEYS[n + 1], at, id)
      redis.call("SADD", KEYS[key + 2], id)
      redis.call("ZADD", due, "LT", at, lane)
      waiting = true
    end
    argument = argument + 3
  end
  return waiting
end

