-- The oldest generation of a tenant's queue, for the scripts that name this part under USES.
--
-- The queue is by priority, then by age: the oldest generation of each priority is the first of its band. Returns the ms
-- of its creation; nil: the queue is empty.
local MILLISECONDS = 2 ^ 42 -- the lower bits of a rank in a tenant's queue; the bits above are its priority

local function oldest_queued(key)
  local rank = tonumber(redis.call("ZRANGE", key, 0, 0, "WITHSCORES")[2])
  if not rank then
    return nil
  end
  local oldest = rank % MILLISECONDS
  while true do
    local next_band = string.format("%.0f", rank - rank % MILLISECONDS + MILLISECONDS)
    if redis.call("ZCOUNT", key, next_band, "+inf") == 0 then
      return string.format("%.0f", oldest)
    end
    rank = tonumber(redis.call("ZRANGEBYSCORE", key, next_band, "+inf", "WITHSCORES", "LIMIT", 0, 1)[2])
    oldest = math.min(oldest, rank % MILLISECONDS)
  end
end

