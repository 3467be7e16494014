/**
 * What has to happen in one step on the Redis side. KEYS: the hash of fields, the number of the
 * last change, the name of the numbers' era: a Redis that lost them begins another.
 */

/** ARGV: topic, message without its number, a name, then field and value in turn; `""` removes. */
export const CHANGE = `
redis.call("SET", KEYS[3], ARGV[3], "NX")
local version = redis.call("INCR", KEYS[2])
for i = 4, #ARGV, 2 do
  if ARGV[i + 1] == "" then redis.call("HDEL", KEYS[1], ARGV[i])
  else redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call("PUBLISH", ARGV[1], version .. " " .. ARGV[2])
return version`;

/** All fields with the number and the era they belong to. */
export const READ = `
return { redis.call("GET", KEYS[2]) or "0", redis.call("GET", KEYS[3]) or "",
  redis.call("HGETALL", KEYS[1]) }`;

/** ARGV: topic, message, a name, number, fields: puts back what Redis lost, unless somebody was faster. */
export const REFILL = `
if tonumber(redis.call("GET", KEYS[2]) or "0") >= tonumber(ARGV[4]) then return 0 end
redis.call("DEL", KEYS[1])
for i = 5, #ARGV, 2 do redis.call("HSET", KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call("SET", KEYS[2], ARGV[4])
redis.call("SET", KEYS[3], ARGV[3])
redis.call("PUBLISH", ARGV[1], ARGV[4] .. " " .. ARGV[2])
return 1`;
