-- Remove some entries for good, after all of them were made void.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     most entries to remove, '' or the scope they belong to, those made until when (µs)
-- Replies  how many were looked at
local ids = ARGV[2] == '' and redis.call('ZRANGE', VALUE, 0, ARGV[1] - 1)
  or redis.call('ZRANGE', ROOT .. 's:' .. ARGV[2], 0, ARGV[1] - 1)
local removed = 0
for _, id in ipairs(ids) do
  local as_of = redis.call('HGET', ROOT .. 'e:' .. id, 'as_of')
  if not as_of or tonumber(as_of) <= tonumber(ARGV[3]) then
    drop(id)
    removed = removed + 1
  end
end
return removed
