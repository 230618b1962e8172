-- Charges or gives back without asking: refunds, settlements, and what was admitted locally.
-- KEYS[1..n]  levels (string, see prelude.lua)
-- KEYS[n+1]   optional: a reservation's record (string, see acquire.lua); without it nothing is
--             changed, so that whoever settles second changes nothing
-- ARGV        five for each bucket: ratio, units, sign, µs, parts
-- Replies     1, or 0 when there was no record
local WIDTH = 5
local now = now_us()
local count = math.floor(#ARGV / WIDTH)
local charged = {} -- where a level stood after the reservation's charge: µs, parts, µs, parts …
if KEYS[count + 1] then
  local record = redis.call('GET', KEYS[count + 1])
  if not record then return 0 end
  redis.call('DEL', KEYS[count + 1])
  for number in string.gmatch(string.match(record, '[^%]]*$'), '%d+') do
    charged[#charged + 1] = tonumber(number)
  end
end
if count == 0 then return 1 end

-- How much of a correction remains. Of a charge only what still lies ahead is given back: the
-- rest has been refilled since, and would be there twice. What was not charged is not corrected.
local function bounded(i, sign, whole, part)
  local top, top_part = charged[2 * i - 1], charged[2 * i]
  if not top or (sign > 0 and top > 0) then return whole, part end
  local left = top - now
  if left < 0 then return 0, 0 end
  if whole > left or (whole == left and part > top_part) then return left, top_part end
  return whole, part
end

local raws = redis.call('MGET', unpack(KEYS, 1, count))
for i = 1, count do
  local at = (i - 1) * WIDTH
  local units, sign = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local whole, part = level(raws[i], now, ARGV[at + 1], units)
  local by, by_part = bounded(i, sign, ARGV[at + 4] + 0, ARGV[at + 5] + 0)
  whole, part = whole + sign * by, part + sign * by_part
  if part >= units then whole, part = whole + 1, part - units end
  if part < 0 then whole, part = whole - 1, part + units end
  if whole < now or (whole == now and part == 0) then
    if raws[i] then redis.call('DEL', KEYS[i]) end
  else
    keep(KEYS[i], now, math.min(whole, now + FURTHEST), part, ARGV[at + 1])
  end
end
return 1
