-- Ask for the end of a bulk job: it ends before its next step. The first reason stays.
--
-- WHEN FULL  runs
-- KEYS  job, due_sweep
-- ARGV  job_name (in the due set), reason, now_ms
-- RETURNS  1 if the job is being stopped, 0 if it has ended or does not exist
local state = redis.call("HGET", job_key, "state")
if state ~= "collecting" and state ~= "running" then
  return 0
end
redis.call("HSETNX", job_key, "stop", reason)
redis.call("ZADD", due_sweep_key, "NX", now_ms, job_name)
return 1
