/**
 * The Lua of every operation on the shared state: each runs whole or not at all, and nothing runs in between.
 * KEYS[1] is the prefix of all keys, which holds the hash tag, so that all of them are in one slot. ARGV[1] and
 * ARGV[2] are the epoch and the server that the caller has adopted: on any other data nothing is done.
 */

/** Which data this is. Missing after a wipe, another server's after a failover or restart. */
const GUARD = `
local P = KEYS[1]
local epoch = redis.call('HMGET', P..'epoch', 'id', 'server', 'since')
if epoch[1] ~= ARGV[1] or epoch[2] ~= ARGV[2] then return redis.error_reply('STALE epoch') end
`;

const MILLIS = `
local function millis()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
`;

/** The live ancestors of a run, itself first; nil and why when one of them is not. */
const CHAIN = `
local function chain(id, now)
  local ids, agents, owners = {}, {}, {}
  while id do
    local r = redis.call('HMGET', P..'run:'..id, 'state', 'exp', 'parent', 'agent', 'owner')
    local isFirst = #ids == 0
    if not r[1] then return nil, isFirst and 'unknown_run' or 'ancestor_over' end
    if r[1] ~= 'live' then return nil, isFirst and 'run_over' or 'ancestor_over' end
    if tonumber(r[2]) <= now then return nil, isFirst and 'run_expired' or 'ancestor_over' end
    if #ids > 16 then return nil, 'ancestor_over' end
    ids[#ids + 1], agents[#agents + 1], owners[#owners + 1] = id, r[4], r[5]
    id = r[3] ~= '' and r[3] or nil
  end
  return ids, nil, agents, owners
end
`;

/** Is a run stopped; and which upstreams are. */
const STOPS = `
local function stops(agents, owners)
  local upstreams = {}
  local stopped = false
  for _, key in ipairs(redis.call('HKEYS', P..'stops')) do
    if key == 'all' then stopped = true end
    for i = 1, #agents do
      if key == 'agent:'..agents[i] or key == 'owner:'..owners[i] then stopped = true end
    end
    if string.sub(key, 1, 9) == 'upstream:' then upstreams[#upstreams + 1] = string.sub(key, 10) end
  end
  return stopped, upstreams
end
`;

/** Facts and budget. What a gateway that is gone had in flight does not count. */
const ENTER = `
local function facts(id, root, gateway)
  local run = P..'run:'..id
  local counts = redis.call('HMGET', run, 'calls', 'tool', 'denials')
  local flying = redis.call('SCARD', P..'flight:'..id..':'..gateway)
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', P..'gateways', millis(), '+inf')) do
    if other ~= gateway then flying = flying + redis.call('SCARD', P..'flight:'..id..':'..other) end
  end
  local labels = table.concat(redis.call('SMEMBERS', P..'labels:'..root), ' ')
  local capabilities = {}
  local all = redis.call('HGETALL', P..'capabilities:'..root)
  for i = 1, #all, 2 do capabilities[#capabilities + 1] = all[i]..'='..all[i + 1] end
  return {tonumber(counts[1] or 0), tonumber(counts[2] or 0), tonumber(counts[3] or 0), flying, labels,
    table.concat(capabilities, ' ')}
end
local function enter(id, root, entering, gateway, entry, maySpend)
  local run = P..'run:'..id
  local hasCall = 1
  if entering ~= 'message' then
    if maySpend and tonumber(redis.call('HGET', run, 'left') or 0) >= 1 then
      redis.call('HINCRBY', run, 'left', -1)
      local capability = string.match(entering, '^tool%-call (.+)$')
      if capability then
        redis.call('HINCRBY', P..'capabilities:'..root, capability, 1)
        redis.call('EXPIRE', P..'capabilities:'..root, math.max(1, redis.call('TTL', P..'run:'..root)))
      end
    else
      hasCall = 0
      entering = 'message'
    end
  end
  local flight = P..'flight:'..id..':'..gateway
  redis.call('SADD', flight, entry..' '..entering)
  redis.call('EXPIRE', flight, 90000)
  return hasCall
end
`;

/** ARGV: now, run, key, proof, proof signed at, proof's life, entering or '', gateway, entry. */
export const ADMIT = `${GUARD}${MILLIS}${CHAIN}${STOPS}${ENTER}
local now, id = tonumber(ARGV[3]), ARGV[4]
local ids, why, agents, owners = chain(id, now)
if not ids then return {why} end
local run = redis.call('HMGET', P..'run:'..id, 'key', 'root')
if run[1] ~= ARGV[5] then return {'key_mismatch'} end
local stopped, upstreams = stops(agents, owners)
if stopped then return {'stopped'} end
if tonumber(ARGV[7]) <= tonumber(epoch[3]) then return redis.error_reply('RECOVERING proofs may be forgotten') end
if not redis.call('SET', P..'proof:'..ARGV[6], '', 'NX', 'EX', ARGV[8]) then return {'proof_replayed'} end
if ARGV[9] == '' then return {'ok', table.concat(ids, ' ')} end
local f = facts(id, run[2], ARGV[10])
local hasCall = enter(id, run[2], ARGV[9], ARGV[10], ARGV[11], true)
return {'ok', table.concat(ids, ' '), hasCall, table.concat(upstreams, ' '), f[1], f[2], f[3], f[4], f[5], f[6]}
`;

/** ARGV: now, run, root, entering, gateway, entry. */
export const ENTER_AGAIN = `${GUARD}${MILLIS}${CHAIN}${STOPS}${ENTER}
local id = ARGV[4]
local ids = chain(id, tonumber(ARGV[3]))
local _, upstreams = stops({}, {})
local f = facts(id, ARGV[5], ARGV[7])
local hasCall = enter(id, ARGV[5], ARGV[6], ARGV[7], ARGV[8], ids ~= nil)
return {hasCall, table.concat(upstreams, ' '), f[1], f[2], f[3], f[4], f[5], f[6]}
`;

/** ARGV: run, root, gateway. */
export const FACTS = `${GUARD}${MILLIS}${ENTER}
return facts(ARGV[3], ARGV[4], ARGV[5])
`;

/** ARGV: run, gateway, entry as it was entered, kind, '1' for a tool call that was forwarded. */
export const LEAVE = `${GUARD}
local run = P..'run:'..ARGV[3]
if redis.call('SREM', P..'flight:'..ARGV[3]..':'..ARGV[4], ARGV[5]) == 0 then return 0 end
local state = redis.call('HGET', run, 'state')
if not state then return 0 end
if ARGV[6] == 'forwarded' then
  redis.call('HINCRBY', run, 'calls', 1)
  if ARGV[7] == '1' then redis.call('HINCRBY', run, 'tool', 1) end
  return 1
end
if ARGV[6] == 'refused' then redis.call('HINCRBY', run, 'denials', 1) end
local capability = string.match(ARGV[5], ' tool%-call (.+)$')
if capability then
  local counts = P..'capabilities:'..redis.call('HGET', run, 'root')
  if redis.call('EXISTS', counts) == 1 then redis.call('HINCRBY', counts, capability, -1) end
end
if state == 'live' and string.match(ARGV[5], ' tool%-call') then redis.call('HINCRBY', run, 'left', 1) end
return 1
`;

/** ARGV: root, labels. */
export const TAINT = `${GUARD}
local life = redis.call('TTL', P..'run:'..ARGV[3])
if life < 0 then return 0 end
for i = 4, #ARGV do redis.call('SADD', P..'labels:'..ARGV[3], ARGV[i]) end
redis.call('EXPIRE', P..'labels:'..ARGV[3], life)
return 1
`;

/** ARGV: now, run, body, agent, owner, key, expires at, parent or '', root, max calls, life, life of the key. */
export const OPEN = `${GUARD}${CHAIN}${STOPS}
local now, id, parent, calls = tonumber(ARGV[3]), ARGV[4], ARGV[10], tonumber(ARGV[12])
local key = P..'key:'..ARGV[6]..' '..ARGV[8]
if redis.call('EXISTS', key) == 1 then return 'key_in_use' end
if stops({ARGV[6]}, {ARGV[7]}) then return 'stopped' end
if parent ~= '' then
  if not chain(parent, now) then return 'parent_over' end
  local left = tonumber(redis.call('HGET', P..'run:'..parent, 'left') or 0)
  if left < calls then return 'calls_exhausted' end
  redis.call('HINCRBY', P..'run:'..parent, 'left', -calls)
  redis.call('SADD', P..'children:'..parent, id)
  redis.call('EXPIRE', P..'children:'..parent, ARGV[13])
end
redis.call('HSET', P..'run:'..id, 'state', 'live', 'body', ARGV[5], 'agent', ARGV[6], 'owner', ARGV[7],
  'key', ARGV[8], 'exp', ARGV[9], 'parent', parent, 'root', ARGV[11], 'left', calls)
redis.call('EXPIRE', P..'run:'..id, ARGV[13])
redis.call('SET', key, id, 'EX', ARGV[14])
redis.call('ZADD', P..'live', ARGV[9], id)
return 'ok'
`;

/** ARGV: run. */
export const FIND = `${GUARD}
return redis.call('HMGET', P..'run:'..ARGV[3], 'body', 'state')
`;

/** ARGV: agent, key. */
export const FIND_BY_KEY = `${GUARD}
local id = redis.call('GET', P..'key:'..ARGV[3]..' '..ARGV[4])
if not id then return {} end
local run = redis.call('HMGET', P..'run:'..id, 'body', 'state')
return {id, run[1], run[2]}
`;

/** ARGV: latest expiry, or '+inf'. */
export const LIVE = `${GUARD}
local bodies = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P..'live', '-inf', ARGV[3])) do
  local body = redis.call('HGET', P..'run:'..id, 'body')
  if body then bodies[#bodies + 1] = body else redis.call('ZREM', P..'live', id) end
end
return bodies
`;

/** What was done is told to all gateways in the same step; returns the number it has, and who has to confirm it. */
const TELL = `
local function tell(message)
  local number = redis.call('INCR', P..'told')
  message.number = number
  redis.call('PUBLISH', P..'told', cjson.encode(message))
  return number, redis.call('ZRANGEBYSCORE', P..'gateways', millis(), '+inf')
end
`;

/** ARGV: run, state, gateway. */
export const END = `${GUARD}${MILLIS}${TELL}
if redis.call('HGET', P..'run:'..ARGV[3], 'state') ~= 'live' then return {} end
local ids, next = {ARGV[3]}, 1
while ids[next] do
  for _, child in ipairs(redis.call('SMEMBERS', P..'children:'..ids[next])) do
    if redis.call('HGET', P..'run:'..child, 'state') == 'live' then ids[#ids + 1] = child end
  end
  next = next + 1
end
local bodies = {}
for i = #ids, 1, -1 do
  local run = P..'run:'..ids[i]
  local r = redis.call('HMGET', run, 'left', 'parent', 'body')
  if r[2] ~= '' and redis.call('EXISTS', P..'run:'..r[2]) == 1 then
    redis.call('HINCRBY', P..'run:'..r[2], 'left', r[1])
  end
  redis.call('HSET', run, 'state', ARGV[4], 'left', 0)
  redis.call('ZREM', P..'live', ids[i])
  bodies[i] = r[3]
end
local number, gateways = tell({kind = 'ended', from = ARGV[5], runs = ids})
return {number, gateways, bodies}
`;

/** ARGV: gateway, key of the stop, its detail. */
export const STOP = `${GUARD}${MILLIS}${TELL}
redis.call('HSET', P..'stops', ARGV[4], ARGV[5])
local number, gateways = tell({kind = 'stopped', from = ARGV[3], target = ARGV[4], detail = ARGV[5]})
return {number, gateways}
`;

/** ARGV: gateway, key of the stop. */
export const LIFT = `${GUARD}${MILLIS}${TELL}
if redis.call('HDEL', P..'stops', ARGV[4]) == 0 then return 0 end
tell({kind = 'lifted', from = ARGV[3], target = ARGV[4]})
return 1
`;

export const STOP_LIST = `${GUARD}
return redis.call('HGETALL', P..'stops')
`;

/**
 * ARGV: gateway, its name, its notice about keys. Names that said nothing for a day are forgotten. Returns the number
 * of the message, who has to confirm it, and how often notices have changed.
 */
export const SAY_KEYS = `${GUARD}${MILLIS}${TELL}
redis.call('HSET', P..'notices', ARGV[4], ARGV[5])
redis.call('ZADD', P..'notice-times', millis(), ARGV[4])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', P..'notice-times', '-inf', millis() - 86400000)) do
  redis.call('HDEL', P..'notices', name)
  redis.call('ZREM', P..'notice-times', name)
end
local version = redis.call('INCR', P..'notices-version')
local number, gateways = tell({kind = 'keys', from = ARGV[3]})
return {number, gateways, tostring(version)}
`;

/** Notices about keys by name of the gateway, and how often they have changed. */
export const HEAR_KEYS = `${GUARD}
return {redis.call('HGETALL', P..'notices'), redis.call('GET', P..'notices-version') or '0'}
`;

/** ARGV: kind and id, holder, life. */
export const CLAIM = `${GUARD}
local key = P..'claim:'..ARGV[3]
local holder = redis.call('GET', key)
if holder then return holder == ARGV[4] and 'again' or 'taken' end
redis.call('SET', key, ARGV[4], 'EX', ARGV[5])
return 'first'
`;

/**
 * Renews the lease of a gateway. ARGV: now, gateway, lease in ms, runs that it has something of under way. Returns
 * those that are not live, the stops, and how often notices about keys have changed.
 */
export const BEAT = `${GUARD}${MILLIS}${CHAIN}
local at = millis()
redis.call('ZADD', P..'gateways', at + tonumber(ARGV[5]), ARGV[4])
redis.call('ZREMRANGEBYSCORE', P..'gateways', '-inf', at - 3600000)
local over = {}
for i = 6, #ARGV do
  local ids, why = chain(ARGV[i], 0)
  if not ids then over[#over + 1] = ARGV[i] end
end
return {over, redis.call('HGETALL', P..'stops'), redis.call('GET', P..'notices-version') or '0'}
`;

/**
 * Takes the data of a server for what it is. ARGV: server, new epoch id, now, gateway, stops that the caller knows
 * (key, detail, ...). Empty data begins a new epoch, with the stops; data of another server may lack the last
 * moments, so proofs from before are good for nothing.
 */
export const ADOPT = `
local P = KEYS[1]
local epoch = redis.call('HMGET', P..'epoch', 'id', 'server')
if not epoch[1] then
  redis.call('HSET', P..'epoch', 'id', ARGV[2], 'server', ARGV[1], 'since', 0)
  for i = 5, #ARGV, 2 do redis.call('HSETNX', P..'stops', ARGV[i], ARGV[i + 1]) end
elseif epoch[2] ~= ARGV[1] then
  redis.call('HSET', P..'epoch', 'server', ARGV[1], 'since', tonumber(ARGV[3]) + 2)
else
  redis.call('HSET', P..'epoch', 'server', ARGV[1])
end
return redis.call('HGET', P..'epoch', 'id')
`;
