-- Enters, keeps, leaves and counts places that are held, not spent: one place in every bucket,
-- or none. A holder that beats is entered again if it had been given up: it is there.
-- KEYS     holders (sorted set: holder → the server's time in µs at which it is given up)
-- ARGV     verb (enter, beat, leave, look), holder, life in µs, then the places of each key
--          (-1: as many as wanted)
-- Replies  {0 when there was no room or the beat came too late, else 1; then holders of the key,
--          µs until its first holder is given up, the same for every further key …}: after what
--          the verb did
local now = now_us()
local verb, holder, life = ARGV[1], ARGV[2], tonumber(ARGV[3])
local reply = {1}
for i = 1, #KEYS do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now))
  if verb == 'leave' then redis.call('ZREM', KEYS[i], holder) end
  local held, places = redis.call('ZCARD', KEYS[i]), tonumber(ARGV[3 + i])
  if verb == 'enter' and places >= 0 and held >= places then reply[1] = 0 end
  if verb == 'beat' and not redis.call('ZSCORE', KEYS[i], holder) then reply[1] = 0 end
end
local stays = verb == 'beat' or (verb == 'enter' and reply[1] == 1)
for i = 1, #KEYS do
  if stays then
    redis.call('ZADD', KEYS[i], string.format('%.0f', now + life), holder)
    local last = redis.call('ZRANGE', KEYS[i], -1, -1, 'WITHSCORES')[2]
    redis.call('PEXPIRE', KEYS[i], string.format('%.0f', math.ceil((last - now) / 1000) + 1))
  end
  local first = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  reply[2 * i] = redis.call('ZCARD', KEYS[i])
  reply[2 * i + 1] = first[2] and first[2] - now or 0
end
return reply
