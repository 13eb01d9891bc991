-- wrk: reads one path again and again.
-- wrk ... -s get.lua URL -- PATH

function init(args)
  wrk.path = args[1]
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
