-- wrk: one request, again and again. Reads PATH; with COUNT and BYTES, posts
-- COUNT messages with bodies of BYTES bytes each to it. Shows the token in
-- BENCH_TOKEN, if any. With BENCH_CLOSE, each request has a connection of its own.
-- wrk ... -s load.lua URL -- PATH [COUNT BYTES]

function init(args)
  wrk.path = args[1]
  wrk.headers["Client-ID"] = "9f1c43a6-52e2-4c8e-9a57-0f4d5b1c7a10"
  wrk.headers["X-Project-ID"] = "nusku-bench"
  local token = os.getenv("BENCH_TOKEN")
  if token and token ~= "" then
    wrk.headers["X-Auth-Token"] = token
  end
  if os.getenv("BENCH_CLOSE") then
    wrk.headers["Connection"] = "close"
  end
  if args[2] then
    local filler = string.rep("x", tonumber(args[3]) - 2)
    local messages = {}
    for i = 1, tonumber(args[2]) do
      messages[i] = '{"ttl": 3600, "body": "' .. filler .. '"}'
    end
    wrk.method = "POST"
    wrk.body = '{"messages": [' .. table.concat(messages, ", ") .. "]}"
    wrk.headers["Content-Type"] = "application/json"
  end
end

-- One line for scripts: requests/s, errors, and p50, p99 and max in ms.
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format("RESULT %.1f %d %.3f %.3f %.3f",
    summary.requests / summary.duration * 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
