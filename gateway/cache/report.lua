-- Note whether a served answer was right.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     entry, '1' for right or '0' for wrong, score it was served with or '', bad reports that
--          quarantine it
-- Replies  {good, bad, worst score reported wrong, '1' if quarantined}, or false without the entry
local key = ROOT .. 'e:' .. ARGV[1]
local e = redis.call('HMGET', key, 'scope', 'last_score', 'worst', 'question', 'last_asked')
if not e[1] then return false end
local score = ARGV[3] ~= '' and ARGV[3] or e[2] or '1'
if ARGV[2] == '1' then
  redis.call('HINCRBY', key, 'good', 1)
  count('reported_right')
else
  if redis.call('HINCRBY', key, 'bad', 1) >= tonumber(ARGV[4]) then
    redis.call('HSET', key, 'quarantined', '1')
    count('quarantined')
  end
  if tonumber(score) > (tonumber(e[3]) or 0) then redis.call('HSET', key, 'worst', score) end
  count('reported_wrong')
end
if e[4] and e[5] then
  redis.call('LPUSH', ROOT .. 'reports', cjson.encode(
    {a = e[5], b = e[4], same_answer = ARGV[2] == '1', score = tonumber(score), entry = ARGV[1]}))
  redis.call('LTRIM', ROOT .. 'reports', 0, 999)
end
local now = redis.call('HMGET', key, 'good', 'bad', 'worst', 'quarantined')
return {now[1] or '0', now[2] or '0', now[3] or '0', now[4] or '0'}
