-- Charges or gives back without asking: refunds, settlements, and what was admitted locally.
-- KEYS[1..n]  levels (string, see prelude.lua)
-- KEYS[n+1]   optional: a reservation's record (string); without it nothing is changed, so
--             that whoever settles second changes nothing
-- ARGV        five for each bucket: ratio, units, sign, µs, parts
-- Replies     1, or 0 when there was no record
local WIDTH = 5
local FURTHEST = 3e15 -- µs ahead, about a century: debts add up, and 2^53 is not far beyond
local now = now_us()
local count = math.floor(#ARGV / WIDTH)
if KEYS[count + 1] and redis.call('DEL', KEYS[count + 1]) == 0 then return 0 end
if count == 0 then return 1 end
local raws = redis.call('MGET', unpack(KEYS, 1, count))
for i = 1, count do
  local at = (i - 1) * WIDTH
  local units, sign = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local whole, part = level(raws[i], now, ARGV[at + 1], units)
  whole, part = whole + sign * ARGV[at + 4], part + sign * ARGV[at + 5]
  if part >= units then whole, part = whole + 1, part - units end
  if part < 0 then whole, part = whole - 1, part + units end
  if whole < now or (whole == now and part == 0) then
    if raws[i] then redis.call('DEL', KEYS[i]) end
  else
    keep(KEYS[i], now, math.min(whole, now + FURTHEST), part, ARGV[at + 1])
  end
end
return 1
