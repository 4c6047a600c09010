-- Says that a replica lives, and tells it what has happened.
-- KEYS: epoch, replicas, touched accounts, holders of shares.
-- ARGV: replica, moment of the last beat, identity of the server process, how long a replica lives
-- without a beat; the holder that it is or nothing, and how long that one lives.
local now = server_now()
-- A server that was started anew knows at most what it had written down, which is worse than
-- nothing: what has ended since would end again.
local run = redis.call('HGET', KEYS[1], 'run')
if run and ARGV[3] ~= '' and run ~= ARGV[3] then
    local prefix = string.sub(KEYS[1], 1, -6)
    for _, id in ipairs(redis.call('ZRANGE', prefix .. 'open', 0, -1)) do
        local packed = redis.call('GET', prefix .. 'claim:' .. id)
        local slots = packed and cmsgpack.unpack(packed).s or {}
        for _, key in ipairs(slots) do redis.call('DEL', key) end
        redis.call('DEL', prefix .. 'claim:' .. id)
    end
    for _, holder in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
        redis.call('DEL', prefix .. 'share:' .. holder)
    end
    for _, key in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do redis.call('DEL', key) end
    redis.call('DEL', KEYS[1], KEYS[3], KEYS[4], prefix .. 'open')
end
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[4]))
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 31 * DAY)
if ARGV[5] ~= '' then redis.call('ZADD', KEYS[4], 'XX', now + tonumber(ARGV[6]), ARGV[5]) end
local epoch = redis.call('HMGET', KEYS[1], 'id', 'ready', 'restored')
local wait = math.max(0, tonumber(epoch[2] or '0') - now)
local answer = {
    text(now), text(redis.call('ZCARD', KEYS[2])), epoch[1] or '', text(wait), epoch[3] or '0',
}
local silent = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 10)
answer[#answer + 1] = text(#silent)
for _, holder in ipairs(silent) do answer[#answer + 1] = holder end
local touched = redis.call('ZREVRANGEBYSCORE', KEYS[3], '+inf', ARGV[2], 'LIMIT', 0, 2000)
for _, key in ipairs(touched) do
    local limit, spent, reserved = account(key)
    answer[#answer + 1] = key
    answer[#answer + 1] = text(limit)
    answer[#answer + 1] = text(spent)
    answer[#answer + 1] = text(reserved)
    local wanted = tonumber(redis.call('HGET', key, 'w') or '0')
    answer[#answer + 1] = wanted > now and '1' or '0'
end
return answer
