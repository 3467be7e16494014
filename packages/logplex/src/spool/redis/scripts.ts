/**
 * Begins or finds a channel. Keys: meta, stream. Arguments: epoch to begin with, least next number.
 * Returns epoch, first and next number.
 */
export const OPEN = `
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
local next = tonumber(redis.call('HGET', KEYS[1], 'next') or '1')
local least = tonumber(ARGV[2])
if least > next then
  next = least
  redis.call('HSET', KEYS[1], 'next', string.format('%.0f', next))
end
local first = redis.call('HGET', KEYS[1], 'first') or string.format('%.0f', next)
if redis.call('EXISTS', KEYS[2]) == 0 then first = string.format('%.0f', next) end
return {redis.call('HGET', KEYS[1], 'epoch'), first, string.format('%.0f', next)}
`;

/**
 * Appends entries and gives them their numbers. Keys: stream, meta, writer. Arguments: epoch, least
 * first number, number of the call, topic, name of the writer, most bytes, most lines (0: nothing
 * is kept, everybody who listens gets it), oldest time in ms, age in ms; then per entry its count of messages, newest time in ms, and octets.
 *
 * The writer's key remembers the last call, so a call that is repeated because its reply was lost
 * appends nothing twice. Returns the first number given and the first one kept. The identifier of an entry is the number of its first message.
 */
export const APPEND = `
local done = redis.call('HMGET', KEYS[3], 'call', 'first', 'kept')
if done[1] and tonumber(done[1]) >= tonumber(ARGV[3]) then return {done[2], done[3]} end
redis.call('HSETNX', KEYS[2], 'epoch', ARGV[1])
local meta = redis.call('HMGET', KEYS[2], 'next', 'first', 'bytes', 'oldest')
local next = tonumber(meta[1] or '1')
if tonumber(ARGV[2]) > next then next = tonumber(ARGV[2]) end
local start = string.format('%.0f', next)
local empty = redis.call('EXISTS', KEYS[1]) == 0
local first = empty and next or tonumber(meta[2] or '1')
local bytes = empty and 0 or tonumber(meta[3] or '0')
local oldest = empty and tonumber(ARGV[11]) or tonumber(meta[4] or '0')
for i = 10, #ARGV, 3 do
  local at = string.format('%.0f', next)
  redis.call('XADD', KEYS[1], at .. '-0', 'n', ARGV[i], 't', ARGV[i + 1], 'd', ARGV[i + 2])
  redis.call('PUBLISH', ARGV[4], at .. ' ' .. ARGV[i] .. ' ' .. ARGV[5] .. '\\n' .. ARGV[i + 2])
  next = next + tonumber(ARGV[i])
  bytes = bytes + #ARGV[i + 2]
end
while tonumber(ARGV[7]) > 0 and (bytes > tonumber(ARGV[6]) or next - first > tonumber(ARGV[7]) or oldest < tonumber(ARGV[8])) do
  local head = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 2)
  if #head < 2 then break end
  local after = tonumber(string.match(head[2][1], '^%d+'))
  if bytes <= tonumber(ARGV[6]) and next - after < tonumber(ARGV[7]) and oldest >= tonumber(ARGV[8]) then break end
  redis.call('XDEL', KEYS[1], head[1][1])
  bytes = bytes - #head[1][2][6]
  first = after
  oldest = tonumber(head[2][2][4])
end
if tonumber(ARGV[7]) == 0 then
  redis.call('DEL', KEYS[1])
  first = next
  bytes = 0
end
redis.call('HSET', KEYS[2], 'next', string.format('%.0f', next), 'first', string.format('%.0f', first),
  'bytes', string.format('%.0f', bytes), 'oldest', string.format('%.0f', oldest))
local kept = string.format('%.0f', first)
redis.call('HSET', KEYS[3], 'call', ARGV[3], 'first', start, 'kept', kept)
redis.call('PEXPIRE', KEYS[3], 3600000)
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return {start, kept}
`;

/** Takes a lease that is free or ours. Keys: lease, fence. Arguments: holder, ms. Returns the fence. */
export const ACQUIRE = `
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return '0' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return tostring(redis.call('INCR', KEYS[2]))
`;

/** Keeps a lease. Keys: lease. Arguments: holder, ms. */
export const RENEW = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return '0' end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return '1'
`;

/** Gives a lease up. Keys: lease. Arguments: holder. */
export const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return '1'
`;

/** Saves a record unless a newer holder has. Keys: record. Arguments: fence, text. */
export const SAVE = `
local fence = tonumber(redis.call('HGET', KEYS[1], 'fence') or '0')
if fence > tonumber(ARGV[1]) then return '0' end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'text', ARGV[2])
return '1'
`;
