-- Note whether a served answer was right.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     entry, '1' for right or '0' for wrong, score it was served with or '', bad reports that
--          quarantine it, digest of what was asked or '', what was asked
-- Replies  {good, bad, worst score reported wrong, '1' if quarantined}, or false without the entry
local key = ROOT .. 'e:' .. ARGV[1]
local e = redis.call('HMGET', key, 'scope', 'asked', 'worst', 'question')
if not e[1] then return false end
local served = nil
for digest, at in string.gmatch(e[2] or '', '(%S+) (%S+)') do
  if digest == ARGV[5] then served = at end
end
-- Without the call it is about, nothing is known of the score: the report counts, no more.
local score = tonumber(served or ARGV[3])
if ARGV[2] == '1' then
  redis.call('HINCRBY', key, 'good', 1)
  count('reported_right')
else
  if redis.call('HINCRBY', key, 'bad', 1) >= tonumber(ARGV[4]) then
    redis.call('HSET', key, 'quarantined', '1')
    count('quarantined')
  end
  if score and score > (tonumber(e[3]) or 0) then redis.call('HSET', key, 'worst', score) end
  count('reported_wrong')
end
if served and e[4] then
  redis.call('LPUSH', ROOT .. 'reports', cjson.encode(
    {a = ARGV[6], b = e[4], same_answer = ARGV[2] == '1', score = score, entry = ARGV[1]}))
  redis.call('LTRIM', ROOT .. 'reports', 0, 999)
end
local now = redis.call('HMGET', key, 'good', 'bad', 'worst', 'quarantined')
return {now[1] or '0', now[2] or '0', now[3] or '0', now[4] or '0'}
