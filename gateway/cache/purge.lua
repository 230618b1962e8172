-- Remove entries for good, some at a time, after they were made void.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     most entries to look at, '' or the scope they belong to, what the first of these calls
--          replied as the time to purge up to, or ''
-- Replies  {how many were removed, time to purge up to}
local ids = ARGV[2] == '' and redis.call('ZRANGE', UNTIL, 0, ARGV[1] - 1)
  or redis.call('ZRANGE', ROOT .. 's:' .. ARGV[2], 0, ARGV[1] - 1)
local upto = ARGV[3] == '' and NOW or tonumber(ARGV[3])
local removed = 0
for _, id in ipairs(ids) do
  local as_of = redis.call('HGET', ROOT .. 'e:' .. id, 'as_of')
  if not as_of or tonumber(as_of) <= upto then
    drop(id)
    removed = removed + 1
  end
end
return {removed, whole(upto)}
