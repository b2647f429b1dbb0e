-- A claimed generation is no longer under way, and no submit of it was sent.
--
-- WHEN FULL  runs
-- KEYS  1 gate  2 under_way
-- ARGV  1 generation
-- RETURNS  1 when dispatch may take what the limit of submits under way kept back, else 0
redis.call("HDEL", KEYS[2], ARGV[1])
return redis.call("HDEL", KEYS[1], "limited")
