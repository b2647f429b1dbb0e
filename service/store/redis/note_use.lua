-- Record when a credential was last used. A deleted one gets no entry: nothing would remove the entry.
--
-- WHEN FULL  runs
-- KEYS  record, used
-- ARGV  minute (RFC 3339)
-- RETURNS  1 if it was recorded, 0 if there is no such credential
if redis.call("EXISTS", record_key) == 0 then
  return 0
end
redis.call("SET", used_key, minute)
return 1
