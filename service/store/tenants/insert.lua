-- Write a record that must not exist yet, and enter it in an index that has an owner.
--
-- WHEN FULL  refused
-- KEYS  1 record  2 index (zset)  3 owner of the index ("" is never a key: the record itself where there is no owner)
-- ARGV  1 record  2 id  3 "1" when the owner must exist
-- RETURNS  "inserted", "exists" or "orphan"
if redis.call("EXISTS", KEYS[1]) == 1 then
  return "exists"
end
if ARGV[3] == "1" and redis.call("EXISTS", KEYS[3]) == 0 then
  return "orphan"
end
redis.call("SET", KEYS[1], ARGV[1])
redis.call("ZADD", KEYS[2], 0, ARGV[2])
return "inserted"
