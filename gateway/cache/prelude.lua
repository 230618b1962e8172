-- Put in front of every script of this package. KEYS[1] is the partition's root,
-- "ansf:cache:{<partition>}:"; every other key is the root and what follows (same hash tag):
--   meta            hash    generation, seq, fence, bytes, clock
--   e:<entry>       hash    an entry, see entries.py; expires with its time to live
--   x:<digest>      string  entry of an exact request; expires with it
--   n:<digest>      string  entry of a normalised question; expires with it
--   s:<scope>       zset    journal of a scope: its entries by the sequence they came in
--   value           zset    entries by value: the least valuable goes first
--   until           zset    entries by the time they end (µs)
--   sizes           hash    entry -> "<bytes>:<scope>"
--   void            hash    "*", "s:<scope>", "t:<tag>" -> when it was invalidated (µs)
--   f:<digest>      string  fence of the call that is under way; "!<fence>" when it failed, "-<fence>"
--                           when its answer is nobody else's
--   c:<hour>        hash    counters of an hour since 1970; expire after eight days
--   missed          zset    questions that were not answered, by how often they were asked
--   missed:text     hash    what was asked, as JSON
--   missed:cost     hash    what its last answer cost
--   shadow, reports list    the newest 1 000, as JSON
-- Times are whole microseconds of the server's clock, below 2^53.
local ROOT = KEYS[1]
local META, VALUE, UNTIL, SIZES = ROOT .. 'meta', ROOT .. 'value', ROOT .. 'until', ROOT .. 'sizes'
local VOID = ROOT .. 'void'
local HOURS_KEPT = 8 * 24

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
local NOW = now_us()

local function whole(number) return string.format('%.0f', number) end

local function count(name, by)
  local key = ROOT .. 'c:' .. whole(math.floor(NOW / 3600000000))
  if redis.call('HINCRBY', key, name, by or 1) == tonumber(by or 1) then
    redis.call('EXPIRE', key, HOURS_KEPT * 3600)
  end
end

-- Remove an entry wherever it is named; one that Redis has already forgotten, too.
local function drop(id)
  local size = redis.call('HGET', SIZES, id)
  local named = redis.call('HMGET', ROOT .. 'e:' .. id, 'x', 'n')
  for i, kind in ipairs({'x:', 'n:'}) do
    if named[i] and redis.call('GET', ROOT .. kind .. named[i]) == id then
      redis.call('DEL', ROOT .. kind .. named[i])
    end
  end
  redis.call('DEL', ROOT .. 'e:' .. id)
  redis.call('ZREM', VALUE, id)
  redis.call('ZREM', UNTIL, id)
  if size then
    local bytes, scope = string.match(size, '^(%d+):(.*)$')
    redis.call('ZREM', ROOT .. 's:' .. scope, id)
    redis.call('HDEL', SIZES, id)
    redis.call('HINCRBY', META, 'bytes', '-' .. bytes)
  end
end

-- Whether anything that was invalidated since `as_of` concerns the scope or the tags.
local function voided(scope, tags, as_of)
  local names = {'*', 's:' .. scope}
  for tag in string.gmatch(tags, '%S+') do names[#names + 1] = 't:' .. tag end
  for _, at in ipairs(redis.call('HMGET', VOID, unpack(names))) do
    if at and tonumber(at) >= tonumber(as_of) then return true end
  end
  return false
end

-- The fields of an entry that may be served within this scope, or nil. A void one goes.
local function valid(id, scope, ...)
  local found = redis.call('HMGET', ROOT .. 'e:' .. id, unpack({
    'scope', 'tags', 'as_of', 'quarantined', ...}))
  if not found[1] or found[1] ~= scope then return nil end
  if voided(found[1], found[2], found[3]) then
    drop(id)
    count('voided')
    return nil
  end
  if found[4] then return nil end
  return found
end

-- Greedy dual size frequency: uses x cost / bytes, on a clock that rises with what was evicted.
local function worth(uses, cost, bytes)
  return (tonumber(redis.call('HGET', META, 'clock')) or 0) + uses * cost / bytes
end

-- Serve an entry: count the use, renew its worth and, if its time slides, its time.
local function serve(id, level)
  local key = ROOT .. 'e:' .. id
  local e = redis.call('HMGET', key, 'answer', 'made', 'cost', 'bytes', 'sliding', 'x', 'n')
  local hits = redis.call('HINCRBY', key, 'hits', 1)
  redis.call('ZADD', VALUE, 'XX', worth(hits + 1, tonumber(e[3]), tonumber(e[4])), id)
  if e[5] ~= '0' then
    redis.call('PEXPIRE', key, e[5])
    for i, kind in ipairs({'x:', 'n:'}) do
      if e[5 + i] and redis.call('GET', ROOT .. kind .. e[5 + i]) == id then
        redis.call('PEXPIRE', ROOT .. kind .. e[5 + i], e[5])
      end
    end
    redis.call('ZADD', UNTIL, 'XX', whole(NOW + e[5] * 1000), id)
  end
  count('hit_' .. level)
  count('saved_nanodollars', e[3])
  return {level, id, whole(NOW - e[2]), e[1]}
end
