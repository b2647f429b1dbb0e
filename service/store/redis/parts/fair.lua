-- The dispatch order of tenants, for the scripts that name this part under USES.
--
-- `active` has the tenants that may have something to dispatch, by virtual time: dispatched generations divided by
-- weight. A tenant without work, or that may not dispatch now, is in `idle` and keeps its virtual time there, so that a
-- tenant gains nothing by becoming idle. `virtual_time` is the virtual time of the tenant that was served last: a
-- tenant that becomes active starts from there if its own virtual time is less.
local function enter(active, idle, virtual_time, tenant)
  if not redis.call("ZSCORE", active, tenant) then
    local own = tonumber(redis.call("ZSCORE", idle, tenant) or 0)
    local now = tonumber(redis.call("GET", virtual_time) or 0)
    redis.call("ZADD", active, string.format("%.17g", math.max(own, now)), tenant)
    redis.call("ZREM", idle, tenant)
  end
end

-- Added to the rank of a generation that is delayed: it is then behind all that are not.
local WAITING = 2 ^ 52
