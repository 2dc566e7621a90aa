"""Lua scripts for atomic steps: compare and swap, compare and delete, leases. Each script uses one key.

A value is a hash of two fields, `value` and `generation`. Generations come from the server's clock, in microseconds:
they need no counter that outlives the value, and are never reused. While a value exists, the next generation is higher
even if the clock was set back.
"""

from typing import Final

#: `there`: the generation under the key; "0" for nothing, "?" for a foreign value.
_THERE: Final = """
local kind = redis.call('TYPE', KEYS[1]).ok
local there = '?'
if kind == 'none' then
    there = '0'
elseif kind == 'hash' then
    there = redis.call('HGET', KEYS[1], 'generation') or '?'
end
"""

#: Arguments: the generation to replace, or "" for any; the value; its lifetime in ms.
#: Returns the new generation; nil if the current one is another.
PUT: Final = (
    _THERE
    + """
if ARGV[1] ~= '' and ARGV[1] ~= there then
    return false
end
local now = redis.call('TIME')
local generation = now[1] * 1000000 + now[2]
local last = tonumber(there)
if last and last >= generation and last < 2^53 - 1 then
    generation = last + 1
end
local text = string.format('%.0f', generation)
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'value', ARGV[2], 'generation', text)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return text
"""
)

#: Argument: the longest value that is sent, in bytes. Returns value and generation, each nil where there is none; 0 for
#: a foreign value, or one that is longer: others who write to the server could fill this process's memory by it.
GET: Final = """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then
    return {false, false}
end
if kind ~= 'hash' then
    return 0
end
local found = {redis.call('HGET', KEYS[1], 'value'), redis.call('HGET', KEYS[1], 'generation')}
for _, text in ipairs({found[1] or '', found[2] or ''}) do
    if #text > tonumber(ARGV[1]) then
        return 0
    end
end
return found
"""

#: Argument: the generation to delete, or "" for any. Returns how many were deleted.
DELETE: Final = (
    _THERE
    + """
if ARGV[1] ~= '' and ARGV[1] ~= there then
    return 0
end
return redis.call('DEL', KEYS[1])
"""
)

#: `holder`: the lease's holder; false where there is none, or where others have put a foreign value.
_HOLDER: Final = """
local holder = redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('GET', KEYS[1])
"""

#: Arguments: the holder; the lifetime of the lease in ms. Returns 1 if the holder has it now.
ACQUIRE: Final = (
    _HOLDER
    + """
if holder and holder ~= ARGV[1] then
    return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)

#: Argument: the holder. Returns 1 if it had the lease.
RELEASE: Final = (
    _HOLDER
    + """
if holder ~= ARGV[1] then
    return 0
end
return redis.call('DEL', KEYS[1])
"""
)
