-- Record that fal answered a poll after it had refused others: those no longer prove a lock, and a gate that only
-- refused polls have closed opens.
--
-- WHEN FULL  runs
-- KEYS  gate, locked_polls
-- ARGV  none
-- RETURNS  "opened" if this opens the gate, else ""
redis.call("DEL", locked_polls_key)
if redis.call("HGET", gate_key, "closed_by") ~= "polls" then
  return ""
end
redis.call(
  "HDEL", gate_key, "cause", "reason", "since", "retry_at", "fresh_at", "tries", "probe", "last_probed", "closed_by"
)
return "opened"
