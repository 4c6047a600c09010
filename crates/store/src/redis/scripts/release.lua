-- Ends a holder of shares: they come back, or count as spent where nobody knows what was.
-- KEYS: holders, its share, touched accounts; the accounts that the share names lie in their slot.
-- ARGV: holder, 1 if they count as spent.
local now = server_now()
local share = redis.call('HGETALL', KEYS[2])
for index = 1, #share, 2 do
    local key, amount = share[index], tonumber(share[index + 1])
    if key ~= ':number' and amount > 0 and redis.call('EXISTS', key) == 1 then
        redis.call('HINCRBY', key, 'e', text(-amount))
        if ARGV[2] == '1' then redis.call('HINCRBY', key, 's', text(amount)) end
        redis.call('ZADD', KEYS[3], now, key)
    end
end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
