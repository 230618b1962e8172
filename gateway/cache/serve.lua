-- Serve a similar entry, if it is still valid; remember what was asked, for a report about it.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     scope, entry, score, what was asked
-- Replies  {'similar', entry, age µs, answer}, or false
if not valid(ARGV[2], ARGV[1]) then return false end
redis.call('HSET', ROOT .. 'e:' .. ARGV[2], 'last_score', ARGV[3], 'last_asked', ARGV[4])
return serve(ARGV[2], 'similar')
