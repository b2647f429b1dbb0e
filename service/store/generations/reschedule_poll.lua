-- Set the time of a generation's next poll, if the generation is still polled and has no unread callback.
--
-- WHEN FULL  runs
-- KEYS  generation, due_poll
-- ARGV  generation_id, poll_ms
-- RETURNS  1 if the time was changed, else 0
if redis.call("HEXISTS", generation_key, "u") == 1 then
  return 0
end
return redis.call("ZADD", due_poll_key, "XX", "CH", poll_ms, generation_id)
