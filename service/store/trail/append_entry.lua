-- Append an entry to the trail if no other entry came after the one that its hash was made with.
--
-- WHEN FULL  runs
-- KEYS  trail, trail_head, trail_pending, tenant_trail (trail itself where the entry is about no tenant)
-- ARGV  number (of the entry), before (hash of the entry before it), record, hash, act_id, about_tenant ("1" or ""),
--       now_ms, oldest_ms (older entries are trimmed), retention_ms
-- RETURNS  {1} if it was appended  {0, number, hash} if another entry is the last one: its number and hash
local head = redis.call("HMGET", trail_head_key, "n", "h")
local last_number, last_hash = tonumber(head[1] or 0), head[2] or string.rep("0", 64)
if last_number + 1 ~= tonumber(number) or last_hash ~= before then
  return {0, last_number, last_hash}
end
local id = redis.call("XADD", trail_key, "MINID", "~", oldest_ms, "*", "n", number, "d", record, "b", before, "h", hash)
redis.call("HSET", trail_head_key, "n", number, "h", hash)
redis.call("HDEL", trail_pending_key, act_id)
if about_tenant == "1" then
  redis.call("ZADD", tenant_trail_key, now_ms, id)
  local expired = redis.call("ZRANGEBYSCORE", tenant_trail_key, "-inf", oldest_ms, "LIMIT", 0, 100)
  if #expired > 0 then
    redis.call("ZREM", tenant_trail_key, unpack(expired))
  end
  redis.call("PEXPIRE", tenant_trail_key, retention_ms)
end
return {1}
