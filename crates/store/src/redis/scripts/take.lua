-- Takes all of a claim or none of it; `force` takes it whatever the limits say.
-- KEYS: epoch, open claims, this claim, touched accounts, then rates, slots and accounts.
-- ARGV: now by the caller, 1 for the clock of this server, 1 for force, epoch that it is meant for,
-- when the claim expires, its ID, the share that it was taken from or nothing, how many rates, slots
-- and budgets; then what each of them is.
local at, force = tonumber(ARGV[1]), ARGV[3] == '1'
local now = at
if ARGV[2] == '1' then now = server_now() end

-- Also what passes whatever the limits say is meant for one memory of this server: told late, it would
-- be held here for a call that the ledger has counted already.
local epoch = redis.call('HMGET', KEYS[1], 'id', 'ready', 'latest')
if not epoch[1] then return {'blank'} end
if ARGV[4] ~= epoch[1] then return {'changed'} end
local ready = tonumber(epoch[2])
if not force and ready > server_now() then return {'gathering'} end

local expires, id, share = ARGV[5], ARGV[6], ARGV[7]
local rate_count, slot_count, budget_count = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
local key_at, arg_at = 4, 10
local rates, slots, budgets = {}, {}, {}
for index = 1, rate_count do
    local limit, period, burst = tonumber(ARGV[arg_at + 1]), tonumber(ARGV[arg_at + 2]), tonumber(ARGV[arg_at + 3])
    local key = KEYS[key_at + index]
    local debt, since = bucket(key)
    debt, since = bucket_at(debt, since, limit, now)
    rates[index] = {
        key = key, limit = limit, period = period, capacity = burst * period,
        unit = ARGV[arg_at + 4], cost = tonumber(ARGV[arg_at + 5]), debt = debt, at = since,
    }
    arg_at = arg_at + 5
end
key_at = key_at + rate_count
for index = 1, slot_count do
    slots[index] = {key = KEYS[key_at + index], max = tonumber(ARGV[arg_at + 1])}
    arg_at = arg_at + 1
end
key_at = key_at + slot_count
for index = 1, budget_count do
    local key = KEYS[key_at + index]
    local _, spent, reserved, aside = account(key)
    budgets[index] = {
        key = key, name = ARGV[arg_at + 1], window_start = ARGV[arg_at + 2],
        window_end = ARGV[arg_at + 3], limit = tonumber(ARGV[arg_at + 4]), unit = ARGV[arg_at + 5],
        amount = tonumber(ARGV[arg_at + 6]), spent = spent, reserved = reserved,
        aside = aside,
    }
    arg_at = arg_at + 6
end

local function standings(answer)
    for _, rate in ipairs(rates) do
        local debt = bucket_at(rate.debt, rate.at, rate.limit, now)
        answer[#answer + 1] = text(div(math.max(0, rate.capacity - debt), rate.period))
        answer[#answer + 1] = text(div_ceil(debt, rate.limit))
    end
    for _, budget in ipairs(budgets) do
        answer[#answer + 1] = text(budget.limit)
        answer[#answer + 1] = text(budget.spent)
        answer[#answer + 1] = text(budget.reserved)
    end
    return answer
end

if redis.call('EXISTS', KEYS[3]) == 1 then return standings({'taken'}) end
if ready > server_now() and epoch[3] then
    -- Who has told of one claim may have many more to tell of.
    local later = math.min(server_now() + STILL_TELLING, tonumber(epoch[3]))
    redis.call('HSET', KEYS[1], 'ready', text(math.max(ready, later)))
end

-- The longest lasting reason against it; the first one wins a tie.
local worst, longest
local function consider(wait, reason)
    local lasts = wait or math.huge
    if not worst or lasts > longest then worst, longest = reason, lasts end
end
local function wait_text(wait) return wait and text(wait) or '' end

if not force then
    for index, rate in ipairs(rates) do
        local wanted = debt_of(rate.cost, rate.period)
        local free = rate.capacity - rate.debt
        if wanted > free then
            local wait
            if wanted <= rate.capacity then
                wait = div_ceil(wanted - free, rate.limit) + math.max(0, rate.at - now)
            end
            consider(wait, {'rate', text(index - 1), wait_text(wait), '', '0'})
        end
    end
    for index, slot in ipairs(slots) do
        if tonumber(redis.call('GET', slot.key) or '0') >= slot.max then
            local wait
            if slot.max > 0 then wait = HELD_RETRY end
            consider(wait, {'slot', text(index - 1), wait_text(wait), '', '0'})
        end
    end
    for index, budget in ipairs(budgets) do
        local left = math.max(0, math.max(0, budget.limit - budget.spent) - budget.reserved)
        local remaining = math.max(0, left - budget.aside)
        if budget.amount > remaining then
            local kind, wait
            if budget.amount > budget.limit then
                kind = 'never'
            elseif budget.amount > math.max(0, budget.limit - budget.spent) then
                kind = 'exhausted'
                if budget.window_end ~= '' and tonumber(budget.window_end) >= at then
                    wait = tonumber(budget.window_end) - at
                end
            else
                kind, wait = 'held', HELD_RETRY
                if budget.amount <= left then
                    -- Only what is set aside is in the way: its holders give it back.
                    redis.call('HSET', budget.key, 'w', text(server_now() + WANTED_FOR))
                    redis.call('ZADD', KEYS[4], server_now(), budget.key)
                end
            end
            consider(wait, {'budget', text(index - 1), wait_text(wait), kind, text(remaining)})
        end
    end
    if worst then
        return standings({'refused', worst[1], worst[2], worst[3], worst[4], worst[5]})
    end
end

local claim = {at = now, r = {}, s = {}, b = {}}
for index, rate in ipairs(rates) do
    claim.r[index] = {rate.key, rate.limit, rate.period, rate.unit, rate.cost, rate.debt}
    rate.debt = math.min(rate.debt + debt_of(rate.cost, rate.period), MAX)
    put_bucket(rate.key, rate.debt, rate.at, rate.limit)
end
for index, slot in ipairs(slots) do
    claim.s[index] = slot.key
    redis.call('INCR', slot.key)
end
for index, budget in ipairs(budgets) do
    claim.b[index] = {
        budget.key, budget.name, budget.window_start, budget.window_end, budget.unit, budget.amount,
    }
    budget.reserved = math.min(budget.reserved + budget.amount, MAX)
    put_account(budget.key, budget.limit, budget.spent, budget.reserved, budget.window_end, at)
    cut_share(share, budget.key, budget.amount)
    redis.call('ZADD', KEYS[4], server_now(), budget.key)
end
redis.call('SET', KEYS[3], cmsgpack.pack(claim))
redis.call('ZADD', KEYS[2], expires, id)
return standings({'taken'})
