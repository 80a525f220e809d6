-- The operations of gateway.core.state.operations, each atomic, decided as the modules beside that
-- one decide them. Times are this server's, in seconds: the replicas' clocks play no part. A record
-- counts until the moment written in it; the key's own expiry only clears away what is left.

local operations = {}

-- Whole microseconds do not fit "%.14g", Lua's own way of writing numbers.
local function text(number)
  return string.format('%.17g', number)
end

local function seconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1e6
end

local function expire(key, ttl)
  redis.call('PEXPIRE', key, string.format('%d', math.ceil(ttl * 1000)))
end

-- Like expire, but never sooner than it was: others in the same key may last longer.
local function outlast(key, ttl)
  if redis.call('PTTL', key) < ttl * 1000 then
    expire(key, ttl)
  end
end

-- Leases of one kind: who holds each, its value, and when it ends.

local function drop_leases(keys, names)
  for from = 1, #names, 1000 do
    local some = {unpack(names, from, math.min(from + 999, #names))}
    redis.call('ZREM', keys[1], unpack(some))
    redis.call('HDEL', keys[2], unpack(some))
    redis.call('HDEL', keys[3], unpack(some))
  end
end

local function drop_ended(keys, now)
  drop_leases(keys, redis.call('ZRANGEBYSCORE', keys[1], '-inf', text(now)))
end

function operations.hold(keys, name, holder, value, ttl)
  local now = seconds()
  drop_ended(keys, now)
  local other = redis.call('HGET', keys[2], name)
  if other and other ~= holder then
    return 0
  end
  redis.call('ZADD', keys[1], text(now + ttl), name)
  redis.call('HSET', keys[2], name, holder)
  redis.call('HSET', keys[3], name, value)
  for _, key in ipairs(keys) do
    outlast(key, tonumber(ttl))
  end
  return 1
end

function operations.release(keys, name, holder)
  drop_ended(keys, seconds())
  if redis.call('HGET', keys[2], name) ~= holder then
    return 0
  end
  drop_leases(keys, {name})
  return 1
end

function operations.held(keys)
  local names = redis.call('ZRANGEBYSCORE', keys[1], '(' .. text(seconds()), '+inf')
  local found = {}
  for from = 1, #names, 1000 do
    local some = {unpack(names, from, math.min(from + 999, #names))}
    for place, value in ipairs(redis.call('HMGET', keys[3], unpack(some))) do
      found[#found + 1] = some[place]
      found[#found + 1] = value
    end
  end
  return found
end

-- Rounds: a number, a value and when it ends.

local function round(key, now)
  local stored = redis.call('HMGET', key, 'round', 'value', 'until')
  if not stored[3] or tonumber(stored[3]) <= now then
    return 0, false
  end
  return tonumber(stored[1]), stored[2]
end

function operations.read(keys)
  local number, value = round(keys[1], seconds())
  return {number, value}
end

function operations.advance(keys, expected, value, ttl)
  local now = seconds()
  local number = round(keys[1], now)
  if number ~= tonumber(expected) then
    return 0
  end
  redis.call('HSET', keys[1], 'round', number + 1, 'value', value, 'until', text(now + ttl))
  expire(keys[1], ttl)
  return 1
end

function operations.forget(keys)
  local number = round(keys[1], seconds())
  redis.call('DEL', keys[1])
  return number > 0 and 1 or 0
end

-- Buckets: a level, when it was so, and when it will be full again, which is as good as none.

local function bucket_level(key, burst, rate, now)
  local stored = redis.call('HMGET', key, 'level', 'at', 'until')
  if stored[3] and tonumber(stored[3]) > now then
    return math.min(burst, stored[1] + math.max(now - stored[2], 0) * rate)
  end
  return burst
end

local function keep_level(key, level, burst, rate, now)
  if level >= burst then
    redis.call('DEL', key)
  else
    local full = (burst - level) / rate
    redis.call('HSET', key, 'level', text(level), 'at', text(now), 'until', text(now + full))
    expire(key, full)
  end
end

function operations.spend(keys, amount, burst, rate)
  amount, burst, rate = tonumber(amount), tonumber(burst), tonumber(rate)
  local now = seconds()
  local level, wait = bucket_level(keys[1], burst, rate, now), '0'
  if level + 1e-9 * burst >= amount then
    level = math.min(burst, math.max(level - amount, 0))
  elseif amount > burst then
    wait = 'inf'
  else
    wait = text((amount - level) / rate)
  end
  keep_level(keys[1], level, burst, rate, now)
  return wait
end

function operations.draw(keys, drawn, burst, rate)
  drawn, burst, rate = tonumber(drawn), tonumber(burst), tonumber(rate)
  local now = seconds()
  local level = math.min(burst, bucket_level(keys[1], burst, rate, now) - drawn)
  keep_level(keys[1], level, burst, rate, now)
  return text(level)
end

-- Means: a value and its weight, when they were so, and in what time the weight halves.

local function mean(key, now, half_life)
  local stored = redis.call('HMGET', key, 'value', 'weight', 'at', 'half_life', 'until')
  if not stored[5] or tonumber(stored[5]) <= now then
    return 0, 0
  end
  local elapsed = math.max(now - stored[3], 0)
  return tonumber(stored[1]), stored[2] * 0.5 ^ (elapsed / (half_life or stored[4]))
end

function operations.observe(keys, value, weight, half_life, forgotten)
  value, weight, half_life = tonumber(value), tonumber(weight), tonumber(half_life)
  local now = seconds()
  local before, weighed = mean(keys[1], now, half_life)
  local total = weighed + weight
  if total <= 0 then
    redis.call('DEL', keys[1])
    return {'0', '0'}
  end
  value = (before * weighed + value * weight) / total
  redis.call('HSET', keys[1], 'value', text(value), 'weight', text(total), 'at', text(now),
    'half_life', text(half_life), 'until', text(now + forgotten))
  expire(keys[1], forgotten)
  return {text(value), text(total)}
end

function operations.means(keys)
  local now, found = seconds(), {}
  for _, key in ipairs(keys) do
    local value, weight = mean(key, now)
    found[#found + 1] = text(value)
    found[#found + 1] = text(weight)
  end
  return found
end

-- Claims: whose body, who answers it, until when nobody else may, and the answer.

local function claiming(key, now)
  local stored = redis.call('HMGET', key, 'digest', 'holder', 'lease', 'until', 'done')
  if stored[4] and tonumber(stored[4]) > now then
    return {digest = stored[1], holder = stored[2], lease = tonumber(stored[3]), done = stored[5]}
  end
end

function operations.claim(keys, digest, holder, lease, ttl)
  local now = seconds()
  local there = claiming(keys[1], now)
  local state = 'new'
  if there then
    if there.digest ~= digest then
      return {'mismatch', false}
    elseif there.done then
      return {'done', redis.call('HGET', keys[1], 'answer')}
    elseif there.holder ~= holder then
      if there.lease > now then
        return {'running', false}
      end
      state = 'taken-over'
    end
  end
  local ends = math.max(tonumber(ttl), tonumber(lease))
  redis.call('DEL', keys[1])
  redis.call('HSET', keys[1], 'digest', digest, 'holder', holder, 'lease', text(now + lease),
    'until', text(now + ends))
  expire(keys[1], ends)
  return {state, false}
end

function operations.complete(keys, holder, answered, answer, ttl)
  local now = seconds()
  local there = claiming(keys[1], now)
  if not there or there.holder ~= holder then
    return 0
  end
  if not there.done then
    if answered == '1' then
      redis.call('HSET', keys[1], 'done', '1', 'answer', answer, 'until', text(now + ttl))
      expire(keys[1], ttl)
    else
      redis.call('DEL', keys[1])
    end
  end
  return 1
end

redis.register_function('LIBRARY', function(keys, args)
  return operations[args[1]](keys, unpack(args, 2))
end)
