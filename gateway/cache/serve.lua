-- Serve a similar entry, if it is still valid; remember what was asked, for a report about it.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     scope, entry, score, digest of what was asked, most of them to remember
-- Replies  {'similar', entry, age µs, answer}, or false
if not valid(ARGV[2], ARGV[1]) then return false end
-- "<digest> <score> <digest> <score> …", the newest first.
local key = ROOT .. 'e:' .. ARGV[2]
local asked, kept = {ARGV[4] .. ' ' .. ARGV[3]}, redis.call('HGET', key, 'asked') or ''
for digest, score in string.gmatch(kept, '(%S+) (%S+)') do
  if digest ~= ARGV[4] and #asked < tonumber(ARGV[5]) then
    asked[#asked + 1] = digest .. ' ' .. score
  end
end
redis.call('HSET', key, 'asked', table.concat(asked, ' '))
return serve(ARGV[2], 'similar')
