-- Write a record that must not exist yet, and add its id to an index that may have an owner.
--
-- WHEN FULL  refused
-- KEYS  record, index, owner (of the index; the record itself where the index has no owner)
-- ARGV  record, id, owner_must_exist ("1" or "")
-- RETURNS  "inserted", "exists" or "orphan"
if redis.call("EXISTS", record_key) == 1 then
  return "exists"
end
if owner_must_exist == "1" and redis.call("EXISTS", owner_key) == 0 then
  return "orphan"
end
redis.call("SET", record_key, record)
redis.call("ZADD", index_key, 0, id)
return "inserted"
