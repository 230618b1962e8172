-- Count a miss, the best score that did not suffice, and what was asked.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     bin of the histogram or '', digest of the question or '', what was asked as JSON,
--          most questions to remember, '' or what shadow mode would have served as JSON ('-': not
--          told)
local MISSED, TEXT, COST = ROOT .. 'missed', ROOT .. 'missed:text', ROOT .. 'missed:cost'
count('misses')
if ARGV[1] ~= '' then count('score_' .. ARGV[1]) end
if ARGV[5] ~= '' then
  count('shadow_similar')
  if ARGV[5] ~= '-' then
    redis.call('LPUSH', ROOT .. 'shadow', ARGV[5])
    redis.call('LTRIM', ROOT .. 'shadow', 0, 999)
  end
end
if ARGV[2] == '' then return 0 end
redis.call('ZINCRBY', MISSED, 1, ARGV[2])
redis.call('HSETNX', TEXT, ARGV[2], ARGV[3])
local most = tonumber(ARGV[4])
if redis.call('ZCARD', MISSED) > most then
  -- The rarest tenth goes, and all counts are halved, so that what was asked long ago fades.
  for _, rare in ipairs(redis.call('ZRANGE', MISSED, 0, math.floor(most / 10))) do
    redis.call('ZREM', MISSED, rare)
    redis.call('HDEL', TEXT, rare)
    redis.call('HDEL', COST, rare)
  end
  redis.call('ZUNIONSTORE', MISSED, 1, MISSED, 'WEIGHTS', 0.5)
end
return 1
