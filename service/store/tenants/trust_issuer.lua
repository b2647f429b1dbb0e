-- Write a trusted issuer of a tenant, and add it to the indexes of its tenant and of its issuer.
--
-- WHEN FULL  refused
-- KEYS  record, tenant, issuers_of_tenant, issuers_by_name
-- ARGV  record, id, name_hash (of the issuer), subject (pattern), most_of_tenant, most_of_issuer, most_patterns (with a
--       wildcard in their subject, of the issuer)
-- RETURNS  "inserted"; "orphan": there is no such tenant; "tenant_full", "issuer_full" or "patterns_full": a bound is
--          reached
if redis.call("EXISTS", tenant_key) == 0 then
  return "orphan"
end
if redis.call("HLEN", issuers_of_tenant_key) >= tonumber(most_of_tenant) then
  return "tenant_full"
end
if redis.call("HLEN", issuers_by_name_key) >= tonumber(most_of_issuer) then
  return "issuer_full"
end
if string.find(subject, "*", 1, true) then
  local patterns = 0
  for _, other in ipairs(redis.call("HVALS", issuers_by_name_key)) do
    if string.find(other, "*", 1, true) then
      patterns = patterns + 1
    end
  end
  if patterns >= tonumber(most_patterns) then
    return "patterns_full"
  end
end
redis.call("SET", record_key, record)
redis.call("HSET", issuers_of_tenant_key, id, name_hash)
redis.call("HSET", issuers_by_name_key, id, subject)
return "inserted"
