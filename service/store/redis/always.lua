-- Carry out one write that a full Redis would refuse.
--
-- WHEN FULL  runs
-- KEYS  target (of the command)
-- ARGV  command, arguments... (those after the key)
-- RETURNS  the reply to the command
return redis.call(command, target_key, unpack(ARGV, arguments_start))
