-- Charges as many whole units as fit, up to a wish.
-- KEYS[1]  level (string, see prelude.lua)
-- ARGV     ratio, units, µs and parts of one unit, µs and parts of the full burst, at most
-- Replies  {granted, µs ahead, parts}: the level before the charge
local now = now_us()
local ratio, units = ARGV[1], tonumber(ARGV[2])
local unit_whole, unit_part = ARGV[3] + 0, ARGV[4] + 0
local full_whole, full_part, most = ARGV[5] + 0, ARGV[6] + 0, ARGV[7] + 0
local whole, part = level(redis.call('MGET', KEYS[1])[1], now, ratio, units)
local ahead = whole - now

-- The level after n units; n * unit_part stays below burst * units, which a quota bounds.
local function after(n)
  local carried = part + n * unit_part
  local carry = math.floor(carried / units)
  return ahead + n * unit_whole + carry, carried - carry * units
end

local function fits(n)
  local then_whole, then_part = after(n)
  return then_whole < full_whole or (then_whole == full_whole and then_part <= full_part)
end

-- Doubles give the number within one; the exact comparison corrects it.
local room = full_whole - ahead + (full_part - part) / units
local granted = math.max(0, math.min(most, math.floor(room / (unit_whole + unit_part / units))))
while granted > 0 and not fits(granted) do granted = granted - 1 end
while granted < most and fits(granted + 1) do granted = granted + 1 end
if granted > 0 then
  local then_whole, then_part = after(granted)
  keep(KEYS[1], now, now + then_whole, then_part, ratio)
end
return {granted, ahead, part}
