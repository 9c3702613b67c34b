-- Figures of wrk as one line of JSON.
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
