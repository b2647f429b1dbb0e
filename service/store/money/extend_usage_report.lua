-- Add the next entries of a day's list of end users to a usage report. A part is added once, whatever worker runs this
-- and however often: the report's position is compared. If money of the day was booked between two parts, their order
-- may have changed, so that the report starts again.
--
-- WHEN FULL  runs
-- KEYS  report, list (of the report), usage, spending_of_day, due_sweep
-- ARGV  report_id, day (number of days that are done), days (of the report), offset (entries of the day that are done),
--       limit (entries of one part), now_ms, job_name (of the report in the due set), retention_seconds
-- RETURNS  1 if the position has moved, 0 if it is another one than the caller's
local state = redis.call("HMGET", report_key, "id", "state", "day", "offset", "spent")
if state[1] ~= report_id or state[2] ~= "running" or state[3] ~= day or state[4] ~= offset then
  return 0
end
local spent = redis.call("HGET", usage_key, "spent") or "0"
if offset ~= "0" and spent ~= state[5] then
  redis.call("UNLINK", list_key)
  redis.call("HSET", report_key, "day", 0, "offset", 0)
  return 1
end
local rows = redis.call("ZREVRANGE", spending_of_day_key, offset, offset + limit - 1, "WITHSCORES")
for n = 1, #rows, 2 do
  redis.call("ZINCRBY", list_key, rows[n + 1], rows[n])
end
if #rows / 2 == tonumber(limit) then
  redis.call("HSET", report_key, "offset", offset + limit, "spent", spent)
elseif day + 1 < tonumber(days) then
  redis.call("HSET", report_key, "day", day + 1, "offset", 0)
else
  redis.call("HSET", report_key, "day", days, "offset", 0, "state", "done", "finished", now_ms)
  redis.call("ZREM", due_sweep_key, job_name)
end
redis.call("EXPIRE", report_key, retention_seconds)
redis.call("EXPIRE", list_key, retention_seconds)
return 1
