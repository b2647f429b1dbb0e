-- Carry out one write that a full Redis would refuse.
--
-- WHEN FULL  runs
-- KEYS  1 its key
-- ARGV  1 name of the command  2... its arguments after the key
-- RETURNS  what the command answers
return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
