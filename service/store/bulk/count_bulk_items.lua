-- Count the outcomes of one step of a bulk job. Nothing changes if another worker has counted this step.
--
-- WHEN FULL  runs
-- KEYS  job
-- ARGV  processed (items before this step), done, skipped, failed
-- RETURNS  1 if the step was counted, 0 if another worker was first
local found = redis.call("HMGET", job_key, "state", "processed")
if found[1] ~= "running" or found[2] ~= processed then
  return 0
end
redis.call("HINCRBY", job_key, "processed", done + skipped + failed)
redis.call("HINCRBY", job_key, "done", done)
redis.call("HINCRBY", job_key, "skipped", skipped)
redis.call("HINCRBY", job_key, "failed", failed)
return 1
