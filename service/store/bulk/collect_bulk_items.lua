-- Append ids to the items of a bulk job that collects. Nothing changes if another worker has appended this step.
--
-- WHEN FULL  runs
-- KEYS  job, items
-- ARGV  cursor (of this step; "": the first one), after (cursor of the next step; "": this is the last one), items...
-- RETURNS  1 if the step was appended, 0 if another worker was first
local found = redis.call("HMGET", job_key, "state", "cursor")
if found[1] ~= "collecting" or (found[2] or "") ~= cursor then
  return 0
end
if #ARGV >= items_start then
  redis.call("RPUSH", items_key, unpack(ARGV, items_start))
  redis.call("HINCRBY", job_key, "matched", #ARGV - items_start + 1)
end
redis.call("HSET", job_key, "cursor", after)
if after == "" then
  redis.call("HSET", job_key, "state", "running")
end
return 1
