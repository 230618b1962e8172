-- Put in front of every script of this package. Numbers are whole microseconds below 2^53 and
-- remainders in parts of 1/units µs (level.py makes all products, so that nothing overflows).
-- A level's value is "<TAT in µs>:<parts>:<units>/<micros>": the rate that the parts belong to
-- travels with them.

local FURTHEST = 3e15 -- µs ahead, about a century: debts add up, and 2^53 is not far beyond

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- TAT of a level, never before now. After a change of the rate the units that were taken stay
-- taken: their time is stretched to the new rate, once, rounded up by less than 1 µs. What nobody
-- of us wrote says nothing, and is overwritten.
local function level(raw, now, ratio, units)
  if not raw then return now, 0 end
  local whole, part, kept = string.match(raw, '^(%d+):(%d+):(.+)$')
  whole, part = tonumber(whole), tonumber(part)
  if not whole or whole < now then return now, 0 end
  if whole > now + FURTHEST then whole = now + FURTHEST end
  if kept == ratio then return whole, part end
  local old_units, old_micros = string.match(kept, '^([1-9]%d*)/([1-9]%d*)$')
  if not old_units then return now, 0 end
  local micros = string.match(ratio, '/(%d+)$')
  local taken = ((whole - now) + part / old_units) * old_units / old_micros
  local ahead = math.min(taken * micros / units, FURTHEST)
  whole = math.floor(ahead)
  part = math.ceil((ahead - whole) * units)
  if part >= units then whole, part = whole + 1, part - units end
  return now + whole, part
end

-- A level lives as long as it says something: until its TAT, rounded up to a millisecond.
local function keep(key, now, whole, part, ratio)
  redis.call('SET', key, string.format('%.0f:%.0f:%s', whole, part, ratio),
    'PX', string.format('%.0f', math.ceil((whole - now) / 1000) + 1))
end
