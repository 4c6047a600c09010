-- What every script needs: the arithmetic of core::limit and core::budget, in the same integers.
-- All numbers stay below 2^53, so doubles hold them exactly.
local MAX = 9007199254740992
local SKEW = 5000
local HELD_RETRY = 1000
local DAY = 86400000
-- So long a server that gathers what replicas hold waits for the next claim after each of them, and so
-- long for all of them: a replica that is slower than that is as good as cut off.
local STILL_TELLING = 300
local MOST_GATHERING = 10000
-- So long nothing is set aside of a budget that a call could not be paid from for that reason.
local WANTED_FOR = 3000

local function text(number) return string.format('%.0f', number) end
local function div(a, b) return (a - math.fmod(a, b)) / b end
local function div_ceil(a, b)
    local rest = math.fmod(a, b)
    if rest > 0 then return (a - rest) / b + 1 end
    return (a - rest) / b
end

local function server_now()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Buckets: a debt, and when it was that.
local function bucket(key)
    local value = redis.call('GET', key)
    if not value then return 0, 0 end
    local debt, at = string.match(value, '^(%d+):(-?%d+)$')
    return tonumber(debt), tonumber(at)
end

local function bucket_at(debt, at, limit, now)
    local elapsed = now - at
    if elapsed < -SKEW then return debt, now end
    if elapsed < 0 then return debt, at end
    return math.max(0, debt - elapsed * limit), now
end

local function put_bucket(key, debt, at, limit)
    local kept = div_ceil(debt, limit) + 60000
    redis.call('SET', key, text(debt) .. ':' .. text(at), 'PX', text(kept))
end

local function debt_of(cost, period) return math.min(cost * period, MAX) end

-- Accounts: hashes of limit, spent, reserved, and what is set aside for replicas (e), with the
-- moment until which somebody else wants that (w).
local function account(key)
    local value = redis.call('HMGET', key, 'l', 's', 'r', 'e')
    return tonumber(value[1] or '0'), tonumber(value[2] or '0'), tonumber(value[3] or '0'),
        tonumber(value[4] or '0')
end

local function put_account(key, limit, spent, reserved, window_end, now)
    redis.call('HSET', key, 'l', text(limit), 's', text(spent), 'r', text(reserved))
    local kept = 90 * DAY
    if window_end ~= '' then kept = math.max(tonumber(window_end) - now, 0) + 7 * DAY end
    redis.call('PEXPIRE', key, text(kept))
end

-- Shares: for each holder a hash of what is set aside for it, by account. What is taken out of a
-- share goes on as reserved or spent, in the same step.
local function cut_share(share, key, amount)
    if share == '' then return end
    local held = tonumber(redis.call('HGET', share, key) or '0')
    local cut = math.min(held, amount)
    if cut <= 0 then return end
    redis.call('HSET', share, key, text(held - cut))
    redis.call('HINCRBY', key, 'e', text(-cut))
end
