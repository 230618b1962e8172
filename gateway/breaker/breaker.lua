-- One breaker, the same for all processes; what machine.py says, on the server's clock.
-- KEYS[1]  hash: mode, since (ms), epoch, granted, passed, and for each part of the window
--          'p<number>' = '<calls>:<failed>:<slow>'; gone after `KEPT` without a call
-- ARGV[1]  ask, or tell, or show
-- ARGV[2]  the rules, separated by spaces, in the order of machine.Rules
-- ARGV[3], ARGV[4]  tell: the permit's epoch, the outcome
-- Replies  ask:  {1 or 0, epoch, ms to wait}
--          tell: mode
--          show: {mode, ms since, epoch, calls, failed, slow}
local KEPT = 86400000
local rule = {}
for word in string.gmatch(ARGV[2], '%d+') do rule[#rule + 1] = tonumber(word) end
local window, slices, least, failure_percent = rule[1], rule[2], rule[3], rule[4]
local slow_percent, open, trials, trial = rule[6], rule[7], rule[8], rule[9]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slice = math.max(1, math.floor(window / slices))
local number = math.floor(now / slice)

local state = {mode = 'closed', since = 0, epoch = 0, granted = 0, passed = 0}
local parts = {}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local name, value = flat[i], flat[i + 1]
  if name == 'mode' then state.mode = value
  elseif string.sub(name, 1, 1) == 'p' and name ~= 'passed' then
    local at = tonumber(string.sub(name, 2))
    local calls, failed, slow = string.match(value, '(%d+):(%d+):(%d+)')
    if at > number - slices then
      parts[#parts + 1] = {at, tonumber(calls), tonumber(failed), tonumber(slow)}
    end
  else state[name] = tonumber(value) end
end

local function whole(value) return string.format('%.0f', value) end

local function save()
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'mode', state.mode, 'since', whole(state.since), 'epoch',
    whole(state.epoch), 'granted', whole(state.granted), 'passed', whole(state.passed))
  for _, part in ipairs(parts) do
    redis.call('HSET', KEYS[1], 'p' .. whole(part[1]), part[2] .. ':' .. part[3] .. ':' .. part[4])
  end
  redis.call('PEXPIRE', KEYS[1], KEPT)
end

local function become(mode, granted)
  state = {mode = mode, since = now, epoch = state.epoch + 1, granted = granted, passed = 0}
  parts = {}
end

local function totals()
  local calls, failed, slow = 0, 0, 0
  for _, part in ipairs(parts) do
    calls, failed, slow = calls + part[2], failed + part[3], slow + part[4]
  end
  return calls, failed, slow
end

local function ask()
  if state.mode == 'closed' then return {1, state.epoch, 0} end
  local reopens = state.since + open
  if state.mode == 'open' and now < reopens then return {0, state.epoch, reopens - now} end
  if state.mode == 'half-open' and state.granted < trials then
    state.granted = state.granted + 1
  elseif state.mode == 'half-open' and now < state.since + trial then
    return {0, state.epoch, math.min(1000, open)}
  else
    become('half-open', 1)
  end
  save()
  return {1, state.epoch, 0}
end

local function try(outcome)
  if outcome == 'dropped' then state.granted = math.max(0, state.granted - 1)
  elseif outcome ~= 'well' then become('open', 0)
  elseif state.passed + 1 >= trials then become('closed', 0)
  else state.passed = state.passed + 1 end
end

local function count(outcome)
  local last
  for _, part in ipairs(parts) do
    if part[1] >= number then last = part end
  end
  if not last then
    last = {number, 0, 0, 0}
    parts[#parts + 1] = last
  end
  last[2] = last[2] + 1
  if outcome == 'failed' then last[3] = last[3] + 1 end
  if outcome == 'slow' then last[4] = last[4] + 1 end
  local calls, failed, slow = totals()
  if calls >= least and
      (failed * 100 >= failure_percent * calls or slow * 100 >= slow_percent * calls) then
    become('open', 0)
  end
end

if ARGV[1] == 'ask' then return ask() end
if ARGV[1] == 'show' then
  local calls, failed, slow = totals()
  return {state.mode, now - state.since, state.epoch, calls, failed, slow}
end
if tonumber(ARGV[3]) ~= state.epoch then return state.mode end
if state.mode == 'half-open' then try(ARGV[4]) save()
elseif ARGV[4] ~= 'dropped' then count(ARGV[4]) save() end
return state.mode
