-- Append the entry of an act, if no other entry came after the one that its hash was made with.
--
-- WHEN FULL  runs
-- KEYS  trail, trail_head, trail_pending, tenant_trail (trail itself where the entry is about no tenant)
-- ARGV  number (of the entry), before (hash of the entry before it), record, hash, act_id, about_tenant ("1" or ""),
--       must_be_pending ("1": append nothing if the act has an entry already), retention_ms (older ones are trimmed)
-- RETURNS  {"appended", position}  {"behind", number, hash} of the last entry, which is another one
--          {"recorded"} if the act has an entry already
if must_be_pending == "1" and redis.call("HEXISTS", trail_pending_key, act_id) == 0 then
  return {"recorded"}
end
local head = redis.call("HMGET", trail_head_key, "n", "h")
local last_number, last_hash = tonumber(head[1] or 0), head[2] or string.rep("0", 64)
if last_number + 1 ~= tonumber(number) or last_hash ~= before then
  return {"behind", last_number, last_hash}
end
local position = redis.call("XADD", trail_key, "*", "n", number, "d", record, "b", before, "h", hash)
redis.call("HSET", trail_head_key, "n", number, "h", hash)
redis.call("HDEL", trail_pending_key, act_id)
-- The time is that of Redis: a machine with a wrong clock must not trim entries.
local time = redis.call("TIME")
local oldest_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(retention_ms)
local trimmed = redis.call("XTRIM", trail_key, "MINID", "~", string.format("%d", math.max(oldest_ms, 0)))
if trimmed > 0 then
  redis.call("HINCRBY", trail_head_key, "trimmed", trimmed)
end
if about_tenant == "1" then
  redis.call("ZADD", tenant_trail_key, number, position)
  for _, old in ipairs(redis.call("ZRANGE", tenant_trail_key, 0, 99)) do
    if tonumber(string.match(old, "^%d+")) >= oldest_ms then
      break
    end
    redis.call("ZREM", tenant_trail_key, old)
  end
  redis.call("PEXPIRE", tenant_trail_key, retention_ms)
end
return {"appended", position}
