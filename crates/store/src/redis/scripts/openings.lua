-- KEYS[1]: the targets that are left alone, by when that ends.
-- ARGV: target, for how long (ms), target, for how long, …
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for at = 1, #ARGV, 2 do
  local ends = now + ARGV[at + 1]
  local known = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[at]) or 0)
  if ends > known then
    redis.call('ZADD', KEYS[1], ends, ARGV[at])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local open = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 2, #open, 2 do
  open[at] = string.format('%d', open[at] - now)
end
return open
