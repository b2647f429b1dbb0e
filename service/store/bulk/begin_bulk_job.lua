-- Begin a bulk job, or join the one over the same filter that has not ended.
--
-- WHEN FULL  runs
-- KEYS  jobs, running, job, due_sweep
-- ARGV  job_id, job_name (in the due set), digest (of kind and filter), most_running, most_listed, now_ms, fields...
--       (names and values of the record)
-- RETURNS  {"begun", its id}  {"joined", id of the other one}  {"busy", ""}: too many have not ended
local same = redis.call("HGET", running_key, digest)
if same then
  return {"joined", same}
end
if redis.call("HLEN", running_key) >= tonumber(most_running) then
  return {"busy", ""}
end
redis.call("HSET", job_key, "state", "collecting", "digest", digest, "started", now_ms,
  "matched", 0, "processed", 0, "done", 0, "skipped", 0, "failed", 0, unpack(ARGV, fields_start))
redis.call("HSET", running_key, digest, job_id)
redis.call("ZADD", jobs_key, 0, job_id)
redis.call("ZREMRANGEBYRANK", jobs_key, 0, -1 - tonumber(most_listed))
redis.call("ZADD", due_sweep_key, now_ms, job_name)
return {"begun", job_id}
