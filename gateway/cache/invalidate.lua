-- Make void what was stored until now; nothing is searched for.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     longest life of an entry in µs, most names to remember, name …: "*", "s:<scope>",
--          "t:<tag digest>", "e:<entry>"
-- Replies  how many of the names said something: an entry that is not there does not
local oldest, done = NOW - tonumber(ARGV[1]), 0
for i = 3, #ARGV do
  local id = string.match(ARGV[i], '^e:(.+)$')
  if id then
    done = done + redis.call('EXISTS', ROOT .. 'e:' .. id)
    drop(id)
  else
    redis.call('HSET', VOID, ARGV[i], whole(NOW))
    done = done + 1
  end
end
if redis.call('HLEN', VOID) > tonumber(ARGV[2]) then
  local all = redis.call('HGETALL', VOID)
  local kept = 0
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) < oldest then
      redis.call('HDEL', VOID, all[i])
    else
      kept = kept + 1
    end
  end
  -- More than can be remembered: everything that is older than now is void.
  if kept > tonumber(ARGV[2]) then
    redis.call('DEL', VOID)
    redis.call('HSET', VOID, '*', whole(NOW))
  end
end
count('invalidated', done)
return done
