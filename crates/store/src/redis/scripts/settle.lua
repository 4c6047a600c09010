-- Closes a claim.
-- KEYS: open claims, this claim, touched accounts; the keys that the claim names lie in their slot.
-- ARGV: now by the caller, 1 for the clock of this server, ID, how it ends, tokens, micro-dollars,
-- tokens of rate limits, 1 if something about it may still be on its way.
-- A claim of nothing stays for that: taken late, it is taken already; closed again, it changes nothing.
local packed = redis.call('GET', KEYS[2])
if ARGV[8] == '1' then
    redis.call('SET', KEYS[2], cmsgpack.pack({at = 0, r = {}, s = {}, b = {}}), 'PX', text(DAY))
else
    redis.call('DEL', KEYS[2])
end
redis.call('ZREM', KEYS[1], ARGV[3])
if not packed then return {'unknown'} end
local claim = cmsgpack.unpack(packed)
local at = tonumber(ARGV[1])
local now = at
if ARGV[2] == '1' then now = server_now() end
local close = ARGV[4]
local used = {tokens = tonumber(ARGV[5]), micros = tonumber(ARGV[6])}

for _, rate in ipairs(claim.r) do
    local key, limit, period, unit, cost, before = unpack(rate)
    if unit == 'tokens' and close ~= 'reserved' then
        local actual = 0
        if close == 'used' then actual = tonumber(ARGV[7]) end
        local debt, since = bucket(key)
        debt, since = bucket_at(debt, since, limit, now)
        local reserved, spent = debt_of(cost, period), debt_of(actual, period)
        if spent >= reserved then
            debt = math.min(debt + (spent - reserved), MAX)
        else
            local elapsed = math.max(0, now - claim.at)
            local idle = math.max(0, elapsed * limit - (before + spent))
            debt = math.max(0, debt - math.max(0, reserved - spent - idle))
        end
        put_bucket(key, debt, since, limit)
    end
end
for _, key in ipairs(claim.s) do
    if redis.call('DECR', key) <= 0 then redis.call('DEL', key) end
end
local answer = {'closed'}
for _, budget in ipairs(claim.b) do
    local key, name, window_start, window_end, unit, amount = unpack(budget)
    local limit, before, reserved = account(key)
    local actual = 0
    if close == 'used' then actual = used[unit] elseif close == 'reserved' then actual = amount end
    local spent = math.min(before + actual, MAX)
    reserved = math.max(0, reserved - amount)
    put_account(key, limit, spent, reserved, window_end, at)
    redis.call('ZADD', KEYS[3], server_now(), key)
    for _, value in ipairs({name, window_start, window_end, text(before), text(limit), text(spent), text(reserved)}) do
        answer[#answer + 1] = value
    end
end
return answer
