-- wrk: posts of COUNT messages of BYTES bytes each.
-- wrk ... -s post.lua URL -- QUEUE COUNT BYTES

function init(args)
  local filler = string.rep("x", tonumber(args[3]) - 2)
  local messages = {}
  for i = 1, tonumber(args[2]) do
    messages[i] = '{"ttl": 3600, "body": "' .. filler .. '"}'
  end
  wrk.method = "POST"
  wrk.path = "/v2/queues/" .. args[1] .. "/messages"
  wrk.body = '{"messages": [' .. table.concat(messages, ", ") .. "]}"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Client-ID"] = "9f1c43a6-52e2-4c8e-9a57-0f4d5b1c7a10"
  wrk.headers["X-Project-ID"] = "nusku-bench"
end

-- One line for scripts: requests/s, errors, and p50, p95, p99, max in ms.
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format("RESULT %.1f %d %.3f %.3f %.3f %.3f",
    summary.requests / summary.duration * 1e6,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1000, latency:percentile(95) / 1000,
    latency:percentile(99) / 1000, latency.max / 1000))
end
