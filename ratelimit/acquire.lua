-- Charges every bucket, or none.
-- KEYS[1..n]  levels (string, see prelude.lua)
-- KEYS[n+1]   optional: a reservation's record (string), written only when allowed, with the
--             levels after the charge behind it: " <TAT µs>:<parts>" each, 0:0 if not charged
-- ARGV        seven for each bucket: ratio, units, charge µs, charge parts, slack µs, slack parts
--             (the level at which the charge just fits), shadow (1: neither denies nor is
--             charged beyond its quota); then, with a record, its text and its life in ms
-- Replies     {allowed, µs ahead, parts, µs ahead, parts …}: the levels before the charge
local WIDTH = 7
local now = now_us()
local count = math.floor(#ARGV / WIDTH)
local raws = redis.call('MGET', unpack(KEYS, 1, count))
local reply, wholes, parts, fits = {1}, {}, {}, {}
for i = 1, count do
  local at = (i - 1) * WIDTH
  local whole, part = level(raws[i], now, ARGV[at + 1], tonumber(ARGV[at + 2]))
  local ahead, slack = whole - now, tonumber(ARGV[at + 5])
  fits[i] = ahead < slack or (ahead == slack and part <= tonumber(ARGV[at + 6]))
  if not fits[i] and ARGV[at + 7] == '0' then reply[1] = 0 end
  wholes[i], parts[i] = whole, part
  reply[2 * i], reply[2 * i + 1] = ahead, part
end
if reply[1] == 0 then return reply end
for i = 1, count do
  local at = (i - 1) * WIDTH
  local whole, part = ARGV[at + 3] + 0, ARGV[at + 4] + 0
  if fits[i] and (whole > 0 or part > 0) then
    local units = tonumber(ARGV[at + 2])
    whole, part = wholes[i] + whole, parts[i] + part
    if part >= units then whole, part = whole + 1, part - units end
    keep(KEYS[i], now, whole, part, ARGV[at + 1])
    wholes[i], parts[i] = whole, part
  end
end
if KEYS[count + 1] then
  local record = ARGV[count * WIDTH + 1]
  for i = 1, count do
    record = record .. (fits[i] and string.format(' %.0f:%.0f', wholes[i], parts[i]) or ' 0:0')
  end
  redis.call('SET', KEYS[count + 1], record, 'PX', ARGV[count * WIDTH + 2])
end
return reply
