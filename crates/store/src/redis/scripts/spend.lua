-- Adds what was spent while this server could not be reached, once.
-- KEYS: token of this report, touched accounts, then accounts.
-- ARGV: what was spent, and the end of the window, for each of them.
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', text(DAY)) then return 0 end
local now = server_now()
for index = 3, #KEYS do
    local limit, spent, reserved = account(KEYS[index])
    spent = math.min(spent + tonumber(ARGV[2 * index - 5]), MAX)
    put_account(KEYS[index], limit, spent, reserved, ARGV[2 * index - 4], now)
    redis.call('ZADD', KEYS[2], now, KEYS[index])
end
return 1
