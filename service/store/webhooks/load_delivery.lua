-- Read a delivery and the body of its event.
--
-- WHEN FULL  reads
-- KEYS  delivery
-- ARGV  event_prefix (of the keys of events)
-- RETURNS  {record, body}; "" for what does not exist
local record, event = unpack(redis.call("HMGET", delivery_key, "d", "e"))
return {record or "", event and redis.call("HGET", event_prefix .. event, "b") or ""}
