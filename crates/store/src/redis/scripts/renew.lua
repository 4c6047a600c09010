-- Moves the ends of claims that are open.
-- KEYS: open claims.
-- ARGV: until when they live, for how long from now on at most or nothing; then the claims.
local ends, most = tonumber(ARGV[1]), math.huge
if ARGV[2] ~= '' then most = server_now() + tonumber(ARGV[2]) end
for index = 3, #ARGV do
    local known = redis.call('ZSCORE', KEYS[1], ARGV[index])
    if known then
        -- What arrives late, behind a later one, ends none earlier. Only a clock that was set back does: by
        -- what it had shown, a claim of a dead replica would live for as long as it was set back.
        local later = math.min(math.max(ends, tonumber(known)), most)
        redis.call('ZADD', KEYS[1], text(later), ARGV[index])
    end
end
return 1
