-- KEYS[1]: the nonces of a caller, by when each can be forgotten.
-- ARGV: nonce, for how long it is kept (ms), the most of them.
-- Returns 0: never seen, 1: seen before, 2: no room.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if ends > now then
  return 1
end
-- Not all at once: the server has other work.
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)
if #over > 0 then
  redis.call('ZREM', KEYS[1], unpack(over))
end
if redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%d', now), '+inf') >= tonumber(ARGV[3]) then
  return 2
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
