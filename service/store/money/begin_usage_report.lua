-- Begin a usage report that the sweep computes. It replaces the tenant's last report, unless that one is running.
--
-- WHEN FULL  runs
-- KEYS  report, due_sweep, tenant
-- ARGV  report_id, first_day, last_day, now_ms, job_name (of the report in the due set), list_prefix (of the keys of
--       the tenant's lists), retention_seconds
-- RETURNS  {"begun", its id}  {"joined", id of the running report over the same days}  {"busy", id of the running one}
--          {"gone", ""}: the tenant was deleted
if redis.call("EXISTS", tenant_key) == 0 then
  return {"gone", ""}
end
local last = redis.call("HMGET", report_key, "id", "state", "start", "end")
if last[2] == "running" then
  return {last[3] == first_day and last[4] == last_day and "joined" or "busy", last[1]}
end
if last[1] then
  redis.call("UNLINK", list_prefix .. last[1])
end
redis.call("DEL", report_key)
redis.call("HSET", report_key, "id", report_id, "state", "running", "start", first_day, "end", last_day,
  "day", 0, "offset", 0, "started", now_ms)
redis.call("EXPIRE", report_key, retention_seconds)
redis.call("ZADD", due_sweep_key, now_ms, job_name)
return {"begun", report_id}
