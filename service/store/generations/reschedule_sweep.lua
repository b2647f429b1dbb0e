-- Set the time of a generation's next sweep, unless the record has changed since it was read.
--
-- WHEN FULL  runs
-- KEYS  generation, due_sweep
-- ARGV  generation_id, version (that was read), sweep_ms
-- RETURNS  1 if the time was changed, 0 if the version has changed
if redis.call("HGET", generation_key, "v") ~= version then
  return 0
end
redis.call("ZADD", due_sweep_key, "XX", sweep_ms, generation_id)
return 1
