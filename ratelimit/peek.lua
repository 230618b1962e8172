-- Reads levels and changes nothing.
-- KEYS     levels (string, see prelude.lua)
-- ARGV     two for each: ratio, units
-- Replies  {µs ahead, parts, µs ahead, parts …}
local now = now_us()
local raws = redis.call('MGET', unpack(KEYS))
local reply = {}
for i = 1, #KEYS do
  local whole, part = level(raws[i], now, ARGV[2 * i - 1], tonumber(ARGV[2 * i]))
  reply[2 * i - 1], reply[2 * i] = whole - now, part
end
return reply
