-- Store a session of the console, and delete the oldest sessions of its subject beyond the permitted number.
-- It runs on a full Redis: an operator logs in to solve that incident. Limits of logins bound what it adds.
--
-- WHEN FULL  runs
-- KEYS  session, sessions_of_subject
-- ARGV  digest (of the session's id), record, now_ms, idle_ms, longest_ms, most (sessions of the subject),
--       session_prefix (of sessions' keys)
-- RETURNS  the number of deleted sessions
redis.call("ZREMRANGEBYSCORE", sessions_of_subject_key, "-inf", string.format("%.0f", now_ms - longest_ms))
redis.call("SET", session_key, record, "PX", idle_ms)
redis.call("ZADD", sessions_of_subject_key, now_ms, digest)
redis.call("PEXPIRE", sessions_of_subject_key, longest_ms)
local oldest = redis.call("ZRANGE", sessions_of_subject_key, 0, -(tonumber(most) + 1))
for _, ended in ipairs(oldest) do
  redis.call("DEL", session_prefix .. ended)
  redis.call("ZREM", sessions_of_subject_key, ended)
end
return #oldest
