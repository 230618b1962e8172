-- Calls that are under way: who makes them, who waits.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     join, lease ms, digest            -> {'lead' or 'wait', fence}
--          beat, lease ms, digest, fence     -> 1 while the call is still this one's
--          fail, ms to tell, digest, fence   -> 1; those that wait are released
--          end, 0, digest, fence             -> 1; those that wait look for the answer
--          look, 0, digest, fence            -> wait, failed or gone
local verb, life, fence = ARGV[1], ARGV[2], ARGV[4]
local key = ROOT .. 'f:' .. ARGV[3]
local held = redis.call('GET', key)
local failed = held and string.sub(held, 1, 1) == '!'
if verb == 'join' then
  if held and not failed then return {'wait', held} end
  -- Above all fences before it, also those from before a flush.
  local mine = whole(math.max(NOW, (tonumber(redis.call('HGET', META, 'fence')) or 0) + 1))
  redis.call('HSET', META, 'fence', mine)
  redis.call('SET', key, mine, 'PX', life)
  return {'lead', mine}
elseif verb == 'beat' then
  if held ~= fence then return 0 end
  return redis.call('PEXPIRE', key, life)
elseif verb == 'fail' then
  if held ~= fence then return 0 end
  redis.call('SET', key, '!' .. fence, 'PX', life)
  return 1
elseif verb == 'end' then
  return held == fence and redis.call('DEL', key) or 0
end
if held == fence then return 'wait' end
if held == '!' .. fence then return 'failed' end
return 'gone'
