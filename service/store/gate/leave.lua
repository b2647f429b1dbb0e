-- Record that a claimed generation is no longer under way, and that no submit of it was sent.
--
-- WHEN FULL  runs
-- KEYS  gate, submits_under_way
-- ARGV  generation_id
-- RETURNS  1 if dispatch may claim again because the submit window has room, else 0
redis.call("HDEL", submits_under_way_key, generation_id)
return redis.call("HDEL", gate_key, "window_full")
