-- The exact and the normalised level, and what is new in the scope for the similar one.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     scope, exact digest, normalised digest or '', sequence up to which the caller knows the
--          scope or '' if it does not ask, mode (serve, shadow: count and list but serve nothing,
--          wait: an identical call has ended, peek: neither count nor change), most entries to tell,
--          '' or the level that this lookup has hit before on what turned out to be unreadable
-- Replies  {level, entry, age µs, answer}
--      or  {'miss', now µs, generation, entries in the scope, level it would have been or '',
--           its entry or '', [entry, sequence, vector] …}
local scope, mode = ARGV[1], ARGV[5]
local would, whose = '', ''
if ARGV[7] and ARGV[7] ~= '' then
  count('hit_' .. ARGV[7], -1)
  count('unreadable')
elseif mode == 'serve' or mode == 'shadow' then
  count('requests')
end
for i, level in ipairs({'exact', 'normalised'}) do
  local id = ARGV[1 + i] ~= '' and redis.call('GET', ROOT .. (i == 1 and 'x:' or 'n:') .. ARGV[1 + i])
  if id and valid(id, scope) then
    if mode == 'serve' then return serve(id, level) end
    if mode == 'wait' then return serve(id, 'coalesced') end
    would, whose = level, id
    if mode == 'shadow' then count('shadow_' .. level) end
    break
  end
end
local journal = ROOT .. 's:' .. scope
local reply = {'miss', whole(NOW), redis.call('HGET', META, 'generation') or '',
  redis.call('ZCARD', journal), would, whose}
if ARGV[4] ~= '' then
  local new = redis.call('ZRANGEBYSCORE', journal, '(' .. ARGV[4], '+inf', 'WITHSCORES',
    'LIMIT', 0, tonumber(ARGV[6]))
  for i = 1, #new, 2 do
    reply[#reply + 1] = new[i]
    reply[#reply + 1] = new[i + 1]
    reply[#reply + 1] = redis.call('HGET', ROOT .. 'e:' .. new[i], 'vector') or ''
  end
end
return reply
