-- Writes of Consul's clients: what URL names, of "service:web-N" for pass, or a registration of web-N. Figures as wrk.lua.
local folder = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(folder .. "wrk.lua")

local count = 0
local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

function request()
   count = count + 1
   local n = number * 1000 + count % 1000
   if wrk.path == "/v1/agent/check/pass" then
      return wrk.format("PUT", wrk.path .. "/service:web-" .. n)
   end
   local body = string.format('{"ID": "web-%d", "Name": "web%d", "Address": "10.0.0.1", "Port": %d, "Check": {"TTL": "10m"}}',
      n, n % 100, 1024 + count % 60000)
   return wrk.format("PUT", wrk.path, {["Content-Type"] = "application/json"}, body)
end
