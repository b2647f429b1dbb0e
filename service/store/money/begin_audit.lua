-- Begin an audit for the sweep to run, or join the one that is running. It is durable from here on.
--
-- WHEN FULL  runs
-- KEYS  1 audit  2 due:sweep
-- ARGV  1 name of the audit in the due set  2 ms now
-- RETURNS  1 when it was begun, 0 when one is running
if redis.call("HGET", KEYS[1], "state") == "running" then
  return 0
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], "state", "running", "started", ARGV[2])
redis.call("ZADD", KEYS[2], ARGV[2], ARGV[1])
return 1
