-- Raises accounts to what the ledger says, and says that this server knows them again.
-- KEYS: epoch, touched accounts, then accounts.
-- ARGV: 1 if this is the last part, epoch to set, identity of the server process, milliseconds until
-- claims may be taken, the moment until which the ledger was read, 1 if the server was found blank and 0
-- if it was not; then what was spent, and the end of the window.
local now = server_now()
local is_blank = redis.call('HEXISTS', KEYS[1], 'id') == 0
-- The ledger was read for what the server was then. Another replica may have restored it meanwhile, until
-- another moment: what ended between the two would count twice.
if ARGV[6] ~= (is_blank and '1' or '0') then return redis.call('HGET', KEYS[1], 'id') end
for index = 3, #KEYS do
    local ledger, window_end = tonumber(ARGV[2 * index + 1]), ARGV[2 * index + 2]
    -- A server that knows its accounts has what the ledger does not have yet, and the other way
    -- round: there, only accounts that nobody has used come from the ledger.
    if is_blank or redis.call('EXISTS', KEYS[index]) == 0 then
        local limit, spent, reserved = account(KEYS[index])
        put_account(KEYS[index], limit, math.max(spent, ledger), reserved, window_end, now)
        redis.call('ZADD', KEYS[2], now, KEYS[index])
    end
end
if is_blank and ARGV[1] == '1' then
    redis.call('HSET', KEYS[1], 'id', ARGV[2], 'run', ARGV[3],
        'ready', text(now + tonumber(ARGV[4])), 'latest', text(now + MOST_GATHERING),
        'restored', ARGV[5])
end
return redis.call('HGET', KEYS[1], 'id')
