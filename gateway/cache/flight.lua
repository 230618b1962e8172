-- Calls that are under way: who makes them, who waits.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     join, lease ms, digest, scope     -> {'lead' or 'wait', fence}, or what was stored in
--                                               this moment: {'coalesced', entry, age µs, answer}
--          beat, lease ms, digest, fence     -> 1 while the call is still this one's
--          fail, ms to tell, digest, fence   -> 1; one of those that wait makes the call
--          part, ms to tell, digest, fence   -> 1; those that wait call each for themselves
--          end, 0, digest, fence             -> 1; those that wait join again
--          look, 0, digest, fence            -> wait, failed, apart or gone
local MARKS = {fail = '!', part = '-'}
local verb, life, fence = ARGV[1], ARGV[2], ARGV[4]
local key = ROOT .. 'f:' .. ARGV[3]
local held = redis.call('GET', key)
local over = held and not string.match(held, '^%d')
if verb == 'join' then
  if held and not over then return {'wait', held} end
  local stored = redis.call('GET', ROOT .. 'x:' .. ARGV[3])
  if stored and valid(stored, ARGV[4]) then return serve(stored, 'coalesced') end
  -- Above all fences before it, also those from before a flush.
  local mine = whole(math.max(NOW, (tonumber(redis.call('HGET', META, 'fence')) or 0) + 1))
  redis.call('HSET', META, 'fence', mine)
  redis.call('SET', key, mine, 'PX', life)
  return {'lead', mine}
elseif verb == 'beat' then
  if held ~= fence then return 0 end
  return redis.call('PEXPIRE', key, life)
elseif MARKS[verb] then
  if held ~= fence then return 0 end
  redis.call('SET', key, MARKS[verb] .. fence, 'PX', life)
  return 1
elseif verb == 'end' then
  return held == fence and redis.call('DEL', key) or 0
end
if held == fence then return 'wait' end
if held == '!' .. fence then return 'failed' end
if held == '-' .. fence then return 'apart' end
return 'gone'
