-- Extend the leases of entries under way that are still held. An entry that was moved since (a save, a callback, another
-- worker's claim) has another score and stays as it is.
--
-- WHEN FULL  runs
-- USES  lease
-- KEYS  1 due set, or claimed
-- ARGV  1 ms when the leases end  2... of each entry its id and the scores it may have, each between blanks
-- RETURNS  {numbers of the entries that are not held any more, from 1}
local lost = {}
extend(KEYS[1], ARGV[1], 2, (#ARGV - 1) / 2, 1, lost, {})
return lost
