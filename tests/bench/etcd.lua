-- etcd through its HTTP/JSON gateway, spread over its members: one thread of wrk for each.
-- ETCD_MEMBERS  host:port,...   ETCD_OPERATION  register, heartbeat, list or list_linearizable
-- ETCD_PREFIX   of the keys     ETCD_LEASE      id of the lease of what is registered
local letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

local function base64(text)
   local out = {}
   for i = 1, #text, 3 do
      local a, b, c = text:byte(i, i + 2)
      local n = a * 65536 + (b or 0) * 256 + (c or 0)
      for shift = 3, 0, -1 do
         local at = math.floor(n / 64 ^ shift) % 64 + 1
         local empty = (shift == 1 and not b) or (shift == 0 and not c)
         out[#out + 1] = empty and '=' or letters:sub(at, at)
      end
   end
   return table.concat(out)
end

local threads = 0

function setup(thread)
   local members = {}
   for host, port in os.getenv('ETCD_MEMBERS'):gmatch('([^:,]+):(%d+)') do
      members[#members + 1] = wrk.lookup(host, port)[1]
   end
   thread.addr = members[threads % #members + 1]
   thread:set('number', threads)
   threads = threads + 1
end

function init(args)
   operation = os.getenv('ETCD_OPERATION')
   prefix = os.getenv('ETCD_PREFIX')
   lease = os.getenv('ETCD_LEASE')
   value = base64(string.rep('v', 200))
   alive = base64('alive')
   count = 0
   wrk.method = 'POST'
   wrk.headers['Content-Type'] = 'application/json'
   local first, last = base64(prefix .. 'list/'), base64(prefix .. 'list0')
   local body = string.format('{"key": "%s", "range_end": "%s", "serializable": %s}', first, last,
      tostring(operation == 'list'))
   list = wrk.format('POST', '/v3/kv/range', nil, body)
end

function request()
   count = count + 1
   if operation == 'register' then
      local key = base64(string.format('%s%d-%d', prefix, number, count))
      return wrk.format('POST', '/v3/kv/put', nil,
         string.format('{"key": "%s", "value": "%s", "lease": "%s"}', key, value, lease))
   elseif operation == 'heartbeat' then
      local key = base64(string.format('%sbeat-%d-%d', prefix, number, count % 100))
      return wrk.format('POST', '/v3/kv/put', nil,
         string.format('{"key": "%s", "value": "%s"}', key, alive))
   end
   return list
end

function done(summary, latency, requests)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   io.write(string.format(
      'FIGURES {"requests": %d, "failed": %d, "per_second": %f, "p50": %f, "p90": %f, "p99": %f, '
      .. '"p99.9": %f, "max": %f}\n',
      summary.requests, failed, summary.requests * 1e6 / summary.duration,
      latency:percentile(50) / 1000, latency:percentile(90) / 1000, latency:percentile(99) / 1000,
      latency:percentile(99.9) / 1000, latency.max / 1000))
end
