-- Says that a replica lives, and tells it what has happened.
-- KEYS: epoch, replicas, touched accounts.
-- ARGV: replica, moment of the last beat, identity of the server process, how long a replica lives
-- without a beat.
local now = server_now()
-- A server that was started anew knows at most what it had written down.
local run = redis.call('HGET', KEYS[1], 'run')
if run and ARGV[3] ~= '' and run ~= ARGV[3] then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[4]))
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 31 * DAY)
local epoch = redis.call('HMGET', KEYS[1], 'id', 'ready', 'restored')
local wait = math.max(0, tonumber(epoch[2] or '0') - now)
local answer = {
    text(now), text(redis.call('ZCARD', KEYS[2])), epoch[1] or '', text(wait), epoch[3] or '0',
}
local touched = redis.call('ZREVRANGEBYSCORE', KEYS[3], '+inf', ARGV[2], 'LIMIT', 0, 2000)
for _, key in ipairs(touched) do
    local limit, spent, reserved = account(key)
    answer[#answer + 1] = key
    answer[#answer + 1] = text(limit)
    answer[#answer + 1] = text(spent)
    answer[#answer + 1] = text(reserved)
end
return answer
