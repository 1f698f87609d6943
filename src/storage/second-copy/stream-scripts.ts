// KEYS of all: the stream, and the hash beside it with the epoch of its writer. Record i of the log has the id
// `<i + 1>-0`, so Redis itself refuses to write one twice or out of order.

const END = `
local function last()
  return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
end
local function size()
  local entry = last()
  return entry and tonumber(string.match(entry[1], '^(%d+)-0$')) or 0
end
`;

/**
 * ARGV: size, '1' when a stream may be begun. Gives the new epoch; the size of a stream that ends elsewhere as
 * `moved`; `gone` when there is none, or only a part of what makes one.
 */
export const TAKE = `${END}
local found = size()
local isBegun = redis.call('HEXISTS', KEYS[2], 'epoch') == 1
if ARGV[2] ~= '1' and (not isBegun or found == 0) and tonumber(ARGV[1]) > 0 then return {'gone'} end
if found ~= tonumber(ARGV[1]) then return {'moved', found} end
return {'taken', redis.call('HINCRBY', KEYS[2], 'epoch', 1)}
`;

/**
 * ARGV: epoch, index of the first record, MAC of the batch, the records. It writes also when all of them are there:
 * `WAIT` waits for what its own connection has written, and there may be a new one since the batch was first sent.
 */
export const APPEND = `${END}
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch then return {'gone'} end
if epoch ~= ARGV[1] then return {'fenced', tonumber(epoch)} end
local first, count, found = tonumber(ARGV[2]), #ARGV - 3, size()
if found == 0 and first > 0 then return {'gone'} end
if found < first then return {'behind', found} end
if found > first + count then return {'differs', first + count} end
for i = first, found - 1 do
  local id = (i + 1) .. '-0'
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if not entry or entry[2][2] ~= ARGV[4 + i - first] then return {'differs', i} end
end
for i = found, first + count - 1 do
  local id = (i + 1) .. '-0'
  if i == first then
    redis.call('XADD', KEYS[1], id, 'r', ARGV[4], 'n', count, 'm', ARGV[3])
  else
    redis.call('XADD', KEYS[1], id, 'r', ARGV[4 + i - first])
  end
end
if found == first + count then redis.call('HSET', KEYS[2], 'epoch', epoch) end
return {'held'}
`;

/** ARGV: epoch, index of the first record to keep. */
export const TRIM = `${END}
if redis.call('HGET', KEYS[2], 'epoch') ~= ARGV[1] then return 0 end
local first = math.min(tonumber(ARGV[2]) + 1, size())
return redis.call('XTRIM', KEYS[1], 'MINID', first .. '-0')
`;
