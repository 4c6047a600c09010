-- Adds what was spent while this server could not be reached, once.
-- KEYS: token of this report, touched accounts, epoch, then accounts.
-- ARGV: the share that it was spent from or nothing, epoch that it is meant for; then what was spent,
-- and the end of the window, for each of them.
if redis.call('HGET', KEYS[3], 'id') ~= ARGV[2] then return 2 end
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', text(DAY)) then return 0 end
local now = server_now()
for index = 4, #KEYS do
    local limit, spent, reserved = account(KEYS[index])
    local amount = tonumber(ARGV[2 * index - 5])
    spent = math.min(spent + amount, MAX)
    put_account(KEYS[index], limit, spent, reserved, ARGV[2 * index - 4], now)
    cut_share(ARGV[1], KEYS[index], amount)
    redis.call('ZADD', KEYS[2], now, KEYS[index])
end
return 1
