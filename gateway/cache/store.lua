-- Keep an answer; make room for it.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     1 entry, 2 scope, 3 tags (digests), 4 generation at the time of asking, 5 a new
--          generation, 6 time of asking µs, 7 life ms, 8 byte budget, 9 bytes, 10 cost, 11 fence or
--          '', 12 exact digest, 13 normalised digest or '', 14 '1' if it has a vector;
--          then names and values of further fields
-- Replies  {'stored', sequence, entries that were evicted}, or {why it was not}
local id, scope, tags = ARGV[1], ARGV[2], ARGV[3]
local as_of, life, budget, bytes = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local flight = ROOT .. 'f:' .. ARGV[12]

local function refuse(why)
  count('refused_' .. why)
  if ARGV[11] ~= '' and redis.call('GET', flight) == ARGV[11] then
    redis.call('SET', flight, '!' .. ARGV[11], 'PX', 1000)
  end
  return {why}
end

local generation = redis.call('HGET', META, 'generation')
-- What was invalidated before a flush is forgotten: an answer from before it may be void.
if ARGV[4] ~= '' and ARGV[4] ~= generation then return refuse('flushed') end
if bytes > budget then return refuse('size') end
if voided(scope, tags, as_of) then return refuse('void') end
if ARGV[11] ~= '' then
  local held = redis.call('GET', flight)
  -- A later call for the same request is under way, or done: its answer is the newer one.
  if held and string.sub(held, 1, 1) ~= '!' and tonumber(held) > tonumber(ARGV[11]) then
    return refuse('fenced')
  end
end
local old = redis.call('GET', ROOT .. 'x:' .. ARGV[12])
if old then
  local since = redis.call('HMGET', ROOT .. 'e:' .. old, 'as_of', 'quarantined')
  if since[1] and not since[2] and tonumber(since[1]) > as_of then return refuse('older') end
  drop(old)
end

for _, ended in ipairs(redis.call('ZRANGEBYSCORE', UNTIL, '-inf', whole(NOW), 'LIMIT', 0, 50)) do
  drop(ended)
end
if not generation then redis.call('HSET', META, 'generation', ARGV[5]) end
local sequence = redis.call('HINCRBY', META, 'seq', 1)
local key = ROOT .. 'e:' .. id
redis.call('HSET', key, 'scope', scope, 'tags', tags, 'as_of', whole(as_of), 'made', whole(NOW),
  'cost', ARGV[10], 'bytes', ARGV[9], 'x', ARGV[12], unpack(ARGV, 15))
redis.call('PEXPIRE', key, life)
redis.call('SET', ROOT .. 'x:' .. ARGV[12], id, 'PX', life)
if ARGV[13] ~= '' then
  redis.call('HSET', key, 'n', ARGV[13])
  redis.call('SET', ROOT .. 'n:' .. ARGV[13], id, 'PX', life)
end
if ARGV[14] == '1' then redis.call('ZADD', ROOT .. 's:' .. scope, sequence, id) end
redis.call('ZADD', VALUE, worth(1, tonumber(ARGV[10]), bytes), id)
redis.call('ZADD', UNTIL, whole(NOW + life * 1000), id)
redis.call('HSET', SIZES, id, ARGV[9] .. ':' .. scope)
local total = redis.call('HINCRBY', META, 'bytes', ARGV[9])
count('stored')
-- What the next answer to a question that is missed will cost, as far as the last one tells.
local missed = ARGV[13] ~= '' and ARGV[13] or ARGV[12]
if redis.call('ZSCORE', ROOT .. 'missed', missed) then
  redis.call('HSET', ROOT .. 'missed:cost', missed, ARGV[10])
end
if ARGV[11] ~= '' and redis.call('GET', flight) == ARGV[11] then redis.call('DEL', flight) end

local evicted = 0
while total > budget and evicted < 100 do
  local least = redis.call('ZRANGE', VALUE, 0, 0, 'WITHSCORES')
  if not least[1] then break end
  redis.call('HSET', META, 'clock', least[2])
  drop(least[1])
  total = tonumber(redis.call('HGET', META, 'bytes'))
  evicted = evicted + 1
end
if evicted > 0 then count('evicted', evicted) end
return {'stored', sequence, evicted}
