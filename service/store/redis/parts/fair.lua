-- Whose turn it is, for the scripts that name this part under USES.
--
-- `fair` holds the tenants that may have something to dispatch, by virtual time: what each was given so far, divided by
-- its weight. Who has nothing to send, or may not, lies in `resting` and keeps its time there, so that leaving and
-- coming back wins nothing. `present` is the time of the last one served: whoever is behind it starts from there.
local function enter(fair, resting, present, tenant)
  if not redis.call("ZSCORE", fair, tenant) then
    local own = tonumber(redis.call("ZSCORE", resting, tenant) or 0)
    local now = tonumber(redis.call("GET", present) or 0)
    redis.call("ZADD", fair, string.format("%.17g", math.max(own, now)), tenant)
    redis.call("ZREM", resting, tenant)
  end
end

-- Added to the rank of a generation that must wait a while: behind all that need not.
local WAITING = 2 ^ 52
