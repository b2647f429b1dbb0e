-- Begin a bulk job, or join the one over the same selection that has not ended.
--
-- WHEN FULL  runs
-- KEYS  jobs, running, starters, job, due_sweep
-- ARGV  job_id, job_name (in the due set), digest (of kind and selection), starter, most_running, most_of_starter,
--       most_listed, job_prefix (of the keys of jobs), now_ms, retention_seconds, fields... (names and values of the
--       record)
-- RETURNS  {"begun", its id}  {"joined", id of the other one}  {"busy", ""}: too many have not ended
local same = redis.call("HGET", running_key, digest)
if same then
  return {"joined", same}
end
local of_starter = tonumber(redis.call("HGET", starters_key, starter) or 0)
if of_starter >= tonumber(most_of_starter) or redis.call("HLEN", running_key) >= tonumber(most_running) then
  return {"busy", ""}
end
redis.call("HSET", job_key, "state", "collecting", "digest", digest, "starter", starter, "started", now_ms,
  "matched", 0, "processed", 0, "done", 0, "skipped", 0, "failed", 0, unpack(ARGV, fields_start))
redis.call("HSET", running_key, digest, job_id)
redis.call("HINCRBY", starters_key, starter, 1)
redis.call("ZADD", jobs_key, 0, job_id)
redis.call("EXPIRE", jobs_key, retention_seconds)
-- Each start adds one entry. The record of the oldest ended job is deleted with its entry.
local excess = redis.call("ZCARD", jobs_key) - tonumber(most_listed)
if excess > 0 then
  for _, old in ipairs(redis.call("ZRANGE", jobs_key, 0, tonumber(most_running))) do
    local state = redis.call("HGET", job_prefix .. old, "state")
    if state ~= "collecting" and state ~= "running" then
      redis.call("UNLINK", job_prefix .. old)
      redis.call("ZREM", jobs_key, old)
      break
    end
  end
end
redis.call("ZADD", due_sweep_key, now_ms, job_name)
return {"begun", job_id}
