-- Extend the leases of claimed entries that the calling process still holds. An entry that was moved since (by a save,
-- a callback, another worker's claim) has another score and stays unchanged.
--
-- WHEN FULL  runs
-- USES  lease
-- KEYS  due (a due set, or the claimed generations)
-- ARGV  lease_end_ms, entries... (of each: id, and the scores that it may have, each between spaces)
-- RETURNS  {numbers of the entries that are no longer held, from 1}
local lost = {}
extend(due_key, lease_end_ms, entries_start, (#ARGV - 1) / 2, 1, lost, {})
return lost
