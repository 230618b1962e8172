-- Enters, keeps and leaves places that are held, not spent: one place in every bucket, or none.
-- KEYS     holders (sorted set: holder → the server's time in µs at which it is given up)
-- ARGV     verb (enter, beat, leave), holder, life in µs; then for enter the places of each key
-- Replies  {1 or 0, holders in each key, µs until each key's first holder is given up …}
local now = now_us()
local verb, holder, life = ARGV[1], ARGV[2], tonumber(ARGV[3])
local reply = {1}
for i = 1, #KEYS do
  if verb == 'leave' then
    redis.call('ZREM', KEYS[i], holder)
  else
    redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now))
    if not redis.call('ZSCORE', KEYS[i], holder) then
      if verb == 'beat' then reply[1] = 0 end
      if verb == 'enter' and redis.call('ZCARD', KEYS[i]) >= tonumber(ARGV[3 + i]) then
        reply[1] = 0
      end
    end
  end
end
if verb ~= 'leave' and reply[1] == 1 then
  for i = 1, #KEYS do
    redis.call('ZADD', KEYS[i], string.format('%.0f', now + life), holder)
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', math.ceil(life / 1000) + 1))
  end
end
for i = 1, #KEYS do
  local first = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  reply[2 * i] = redis.call('ZCARD', KEYS[i])
  reply[2 * i + 1] = first[2] and math.max(0, first[2] - now) or 0
end
return reply
