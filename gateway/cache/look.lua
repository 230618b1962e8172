-- What candidates of the similar level are compared by; nothing is counted.
-- KEYS[1]  the partition's root (prelude.lua)
-- ARGV     scope, entry …
-- Replies  for each: {question, good, bad, worst score reported wrong}, or an empty list if it is
--          no longer valid
local reply = {}
for i = 2, #ARGV do
  local found = valid(ARGV[i], ARGV[1], 'question', 'good', 'bad', 'worst')
  reply[#reply + 1] = found and {found[5], found[6] or '0', found[7] or '0', found[8] or '0'} or {}
end
return reply
