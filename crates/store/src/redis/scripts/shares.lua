-- Sets aside what a replica may spend of accounts if it loses this server.
-- KEYS: epoch, holders, the share of this one, touched accounts, then accounts.
-- ARGV: epoch that the caller knows, holder, how long it lives without a beat, number of this
-- question, among how many an account is divided; then of each account its limit, the least that is
-- of use, and what the holder has left.
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return {'changed'} end
local now, number = server_now(), tonumber(ARGV[4])
local before = redis.call('HGET', KEYS[3], ':number')
-- One that was given back, or a question that comes after a later one, changes nothing.
if not before and number > 1 then return {'ended'} end
if before and tonumber(before) >= number then return {'late'} end
redis.call('HSET', KEYS[3], ':number', text(number))
redis.call('PEXPIRE', KEYS[3], text(32 * DAY))
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[2])
local parts = tonumber(ARGV[5])
local answer = {'set'}
for index = 5, #KEYS do
    local at, key = 3 * index - 10, KEYS[index]
    local limit, least = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local _, spent, reserved, aside = account(key)
    local known = tonumber(redis.call('HGET', KEYS[3], key) or '0')
    local held = math.min(tonumber(ARGV[at + 3]), known)
    local others = math.max(0, aside - known)
    local left = math.max(0, math.max(0, limit - spent) - reserved)
    local share = div(left, parts)
    local wanted = tonumber(redis.call('HGET', key, 'w') or '0') > now
    if share < least or wanted then share = 0 end
    -- What the holder has is its own until it says that it has less.
    share = math.max(held, math.min(share, math.max(0, left - others)))
    if share ~= known then
        redis.call('HSET', KEYS[3], key, text(share))
        redis.call('HINCRBY', key, 'e', text(share - known))
    end
    answer[#answer + 1] = text(share)
end
return answer
